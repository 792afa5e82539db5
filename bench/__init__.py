"""Measures the tap beside what one would use in its place."""
