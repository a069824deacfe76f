"""Whose session a request comes with, what it is worth, how it begins and ends."""
