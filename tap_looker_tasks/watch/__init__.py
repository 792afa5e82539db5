"""Shows what a run does, and what it did; is told events and decides nothing."""
