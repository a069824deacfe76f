"""Writes through Kratos' admin paths: planned, audited, and followed by our tables."""
