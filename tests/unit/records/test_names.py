"""Names that every target keeps unchanged."""

from __future__ import annotations

from hypothesis import given, strategies as st

from tap_looker_tasks.records.keys import (
    column_name,
    describe_renamed,
    find_column_name,
    name_columns,
    shorten,
)

LONG = "orders." + "a" * 80
FIELDS = st.lists(st.text(st.sampled_from("aAbBé."), min_size=1, max_size=30), unique=True)


def test_a_name_is_cut_off_only_where_it_must_be() -> None:
    assert shorten("x" * 63, 63) == "x" * 63
    assert shorten("x" * 64, 63) == "x" * 54 + "_7ce100971f64"[:9]
    assert len(shorten("é" * 40, 63).encode()) <= 63


def test_columns_that_differ_by_case_end_in_a_hash_of_their_field() -> None:
    names = name_columns(["k.Total", "k.total", "k.other", LONG], 63)
    assert names["k.other"] == "k__other"
    assert len({name.lower() for name in names.values()}) == 4
    assert names["k.Total"].startswith("k__Total_")
    # It is the same in every query.
    assert name_columns([LONG], 63)[LONG] == names[LONG]
    assert describe_renamed(names, 63) == [
        (
            "'k.Total' and 'k.total' would be columns whose names differ by case only, which many "
            f"targets treat as one: they become {names['k.Total']} and {names['k.total']}"
        ),
        (
            f"{LONG!r} would be a column whose name has more than 63 bytes (max_name_length), "
            "quotes or control characters, or differs from another by case only: "
            f"it becomes {names[LONG]}"
        ),
    ]


@given(FIELDS, st.integers(20, 40))
def test_every_field_finds_its_column_again(fields: list[str], longest: int) -> None:
    names = name_columns(fields, longest)
    assert all(len(name.encode()) <= longest for name in names.values())
    plain = {column_name(field) for field in fields}
    assert len({name.lower() for name in names.values()}) >= len({name.lower() for name in plain})
    for field, name in names.items():
        assert find_column_name(field, names.values()) == name
    assert find_column_name("of_another_query", names.values()) is None


def test_quotes_and_control_characters_are_replaced_in_names() -> None:
    fields = ['k.a"b', "k.a_b", "k.a\nb", "k.a`b", "k.plain name"]
    names = name_columns(fields, 63)
    assert not [n for n in names.values() if set(n) & set('"`\\\n')]
    assert len(set(names.values())) == len(fields)
    assert names["k.plain name"] == "k__plain name"
    assert names['k.a"b'] == name_columns(['k.a"b'], 63)['k.a"b']
    for field, name in names.items():
        assert find_column_name(field, names.values()) == name
    (line, *_) = describe_renamed({'k.a"b': names['k.a"b']}, 63)
    assert "quotes or control characters" in line
