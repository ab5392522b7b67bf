"""`make demo`: the real daemon and command line on a simulated dom0, narrated."""
