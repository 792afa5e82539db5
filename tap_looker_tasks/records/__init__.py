"""Looker field -> column -> record."""
