"""Relation tuples through Ory's paths: bounded reads, validated writes."""
