"""The number of generated examples, which `make mutants` lowers for all tests."""

from __future__ import annotations

from hypothesis import settings


def at_most(count: int) -> settings:
    """Generate this many examples, or as many as the profile if those are fewer."""
    return settings(max_examples=min(count, settings().max_examples))
