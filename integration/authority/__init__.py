"""Who may do what, and until when: roles' permissions, grants, elevations, and Keto's tuples."""
