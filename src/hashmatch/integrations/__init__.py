"""Doors into other people's programs; each module needs what it is for, and nothing else loads it."""
