"""Pure decisions: facts in, decision out.

A module here is named for what it decides. It takes plain frozen values, returns plain
frozen values, and never looks anything up, reads a clock, logs, or raises for a refusal.
The shells in `hooks`, `integration.edge`, `integration.api` and `integration.tasks` gather
the facts, ask, and record the effects.
"""
