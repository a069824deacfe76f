"""Limits and lock-out on the way to Kratos: the guard, and where its counters live."""
