"""Passwords on their way to Kratos: judged, remembered as digests, never kept."""
