"""Every mail, Kratos' and ours: what it says, and where it goes."""
