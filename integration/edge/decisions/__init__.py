"""Decisions on permissions, answered at the edge: asked of Keto once, remembered while true."""
