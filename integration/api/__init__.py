"""Our clients call in: JSON in, JSON out, errors as problem details (RFC 9457)."""
