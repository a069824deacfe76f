"""Kratos calls in, on a private listener.

Hooks come in two kinds. `submitted` is asked before Kratos stores anything: it asks a policy,
answers, and writes nothing. `completed` is told after Kratos stored it: it records effects once,
however often it is delivered. Source: docs/architecture.md, decision 6.
"""
