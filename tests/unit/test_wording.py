"""What a line about an unknown name offers in its place."""

from __future__ import annotations

import pytest

from tap_looker_tasks.wording import suggest_names

FEW = ["orders.id", "orders.status", "users.age"]
MANY = [*FEW, *(f"flights.column_{number}" for number in range(20))]


@pytest.mark.parametrize(
    ("name", "known", "end"),
    [
        ("orders.statsu", MANY, "; did you mean orders.status?"),
        ("status", FEW, "; there are orders.id, orders.status, users.age"),
        ("anything", [], ""),
    ],
)
def test_a_slip_is_corrected_and_few_names_are_listed(
    name: str, known: list[str], end: str
) -> None:
    assert suggest_names(name, known) == end


def test_of_many_names_the_nearest_are_listed_that_of_another_view_first() -> None:
    end = suggest_names("people.age", MANY)
    assert end.startswith("; the nearest of 23 are users.age, ")
    assert end.count(",") == 7
