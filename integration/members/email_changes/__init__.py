"""Changes of e-mail addresses: what is recorded, and what Kratos is told."""
