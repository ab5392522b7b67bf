"""Observe, execute, reconcile, loop. Knows ports (Protocols), never a tool."""
