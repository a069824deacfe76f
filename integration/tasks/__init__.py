"""The queue calls in: the relay, delivery, sweeps, and the reconciler.

A task is told a name, not data; what it does is decided by what the database says when it runs.
"""
