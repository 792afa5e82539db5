"""Text from outside is one line."""

from __future__ import annotations

from hypothesis import given, strategies as st

from tap_looker_tasks.wording import one_line


@given(st.text() | st.text(alphabet="\n\r\x1b\u202e\u2028a\udc80"), st.integers(1, 50))
def test_text_from_outside_is_one_line_of_a_length(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line.splitlines()) <= 1
    assert len(line) <= most
    # No half characters.
    line.encode("utf-8")


def test_safe_text_stays() -> None:
    assert one_line("Umsatz\u00a0(€) 売上 🙂") == "Umsatz\u00a0(€) 売上 🙂"
    assert one_line("a\u202eb\x1bc") == r"a\u202eb\x1bc"
