"""The number of generated examples, which `make mutants` lowers and `make soak` raises."""

from __future__ import annotations

from hypothesis import settings


def at_most(count: int, *, soak: int = 0) -> settings:
    """Generate this many examples, or those of the profile if fewer; `soak` of them in a soak."""
    profile = settings().max_examples
    return settings(max_examples=soak if soak and profile > count else min(count, profile))
