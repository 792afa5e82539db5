"""Follows and launches query tasks."""
