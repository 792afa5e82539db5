"""What to run: configured queries, their bodies and bookmarks."""
