"""Thin: each module knows one tool and nothing else of xenlocal but the model."""
