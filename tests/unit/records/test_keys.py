"""Keys that do not tell rows apart are counted."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from hypothesis import given, strategies as st

from tap_looker_tasks.records.rows import KeyCheck, RecordBatch, RecordType

TYPE = RecordType(["id", "day", "other"])
VALUES = st.none() | st.integers(-3, 3) | st.sampled_from(["a", "-1", "1"]) | st.just([1])


def check(*batches: list[tuple[object, object]], most: int = 1_000_000) -> list[str]:
    keys = KeyCheck(["id", "day"], most)
    for rows in batches:
        ids, days = [row[0] for row in rows], [row[1] for row in rows]
        keys.add(RecordBatch(TYPE, (ids, days, range(len(rows))), len(rows)))
    return keys.problems


def test_keys_that_distinguish_rows_are_no_problem() -> None:
    numbers: list[tuple[object, object]] = [(n, "x") for n in range(-5, 5)]
    assert check([(1, "a"), (1, "b"), ("1", "a")], [(Decimal("1.5"), "a")], numbers) == []


def test_nulls_and_repeats_are_counted_across_batches() -> None:
    assert check(
        [(1, None), (1, "a"), ({"x": 1}, "a")], [(1, "a"), (2, None), ({"x": 1}, "a")]
    ) == [
        "primary_keys: day is null in 2 rows, so a target may keep fewer rows than there are",
        (
            "primary_keys: 2 rows repeat the values of id and day of another, so a target may keep "
            "fewer rows than there are"
        ),
    ]


def test_computed_keys_that_repeat_say_that_rows_are_not_grouped() -> None:
    keys = KeyCheck(["_row_key"])
    keys.add(RecordBatch(RecordType(["_row_key"]), (["aa", "bb", "aa"],), 3))
    (problem,) = keys.problems
    assert problem == (
        "primary_keys: 1 rows repeat the dimensions of another, because their Explore does not "
        "group them (auto cannot distinguish them; name fields that do), so a target may keep "
        "fewer "
        "rows than there are"
    )


@given(st.lists(st.lists(st.tuples(VALUES, VALUES), max_size=20), max_size=4))
def test_repeats_are_exact(batches: list[list[tuple[object, object]]]) -> None:
    counts = Counter(repr(row) for rows in batches for row in rows)
    repeats = sum(counts.values()) - len(counts)
    found = [line for line in check(*batches) if "repeat" in line]
    assert len(found) == bool(repeats)
    assert all(f": {repeats} rows repeat" in line for line in found)


def test_beyond_what_is_kept_repeats_are_still_found() -> None:
    rows: list[tuple[object, object]] = [(n, "a") for n in range(1000)]
    keys = KeyCheck(["id", "day"], 100)
    for _ in range(2):
        keys.add(
            RecordBatch(TYPE, ([row[0] for row in rows], [row[1] for row in rows], rows), len(rows))
        )
    [problem] = keys.problems
    assert problem.startswith("primary_keys: at least ")
    assert check(rows, most=100) == []
