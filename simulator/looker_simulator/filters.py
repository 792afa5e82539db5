"""Looker's filter expressions translated to SQL conditions.

For example, `7 days` on a date becomes a comparison with the first moment of that interval and the
first moment after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NUMBER = r"-?\d+(?:\.\d+)?"
_COMPARISON = re.compile(rf"(<>|!=|>=|<=|>|<|=)?\s*({_NUMBER})")
_INTERVAL = re.compile(
    rf"([\[(])\s*({_NUMBER}|-?inf)?\s*,\s*({_NUMBER}|inf)?\s*([\])])", re.IGNORECASE
)
_RANGE = re.compile(rf"({_NUMBER})\s+to\s+({_NUMBER})", re.IGNORECASE)
_MOMENT = re.compile(
    r"(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2})(?:[ T](\d{1,2}):(\d\d)(?::(\d\d))?)?)?)?"
)
_SPAN = re.compile(r"(?:last\s+)?(\d+)\s+(second|minute|hour|day|week|month|year)s?(\s+ago)?")
_NAMED_SPAN = re.compile(r"(this|last)\s+(day|week|month|year)")
_YES = frozenset({"yes", "true"})
_NO = frozenset({"no", "false"})


class FilterError(ValueError):
    """Looker has no such expression for a field of this type."""


@dataclass(frozen=True)
class Filter:
    """A filter expression for one field.

    Attributes:
        sql: SQL expression of the field.
        expression: Filter expression of the user.
        now: Present time in the query's time zone, without an offset.
    """

    sql: str
    expression: str
    now: datetime

    def on_text(self) -> str:
        """Return the condition for a string, tier or zipcode."""
        terms = [_text_term(self.sql, *term) for term in _text_terms(self.expression)]
        return _either([c for c, negated in terms if not negated], [c for c, n in terms if n])

    def on_number(self) -> str:
        """Return the condition for a number."""
        parts = re.split(r"\s+and\s+", self.expression, flags=re.IGNORECASE)
        return " and ".join(f"({self._any_number(part)})" for part in parts)

    def on_yesno(self) -> str:
        """Return the condition for a yesno."""
        word = self.expression.strip().lower()
        if not word:
            return "true"
        if word not in _YES | _NO:
            raise self._error()
        return f"{self.sql} = '{'Yes' if word in _YES else 'No'}'"

    def on_date(self) -> str:
        """Return the condition for a date or date-time."""
        text = self.expression.strip()
        if not text or text.lower() == "any time":
            return "true"
        if text.lower() in {"null", "not null"}:
            return f"{self.sql} is {text}"
        start, end = self._interval(text)
        bounds = [f"{self.sql} >= '{start}'"] if start else []
        bounds += [f"{self.sql} < '{end}'"] if end else []
        return " and ".join(bounds)

    def _any_number(self, part: str) -> str:
        positive: list[str] = []
        negative: list[str] = []
        for term in re.split(r",(?![^\[(]*[\])])", part):
            condition, negated = self._number_term(term.strip())
            (negative if negated else positive).append(condition)
        return _either(positive, negative)

    def _number_term(self, term: str) -> tuple[str, bool]:
        negated = bool(re.match(r"not\s+", term, re.IGNORECASE))
        bare = re.sub(r"^not\s+", "", term, flags=re.IGNORECASE)
        condition = self._bare_number_term(bare)
        if bare.startswith(("<>", "!=")):
            return condition, True
        return (f"not ({condition})" if negated else condition), negated

    def _bare_number_term(self, term: str) -> str:
        if not term:
            return "true"
        if term.lower() == "null":
            return f"{self.sql} is null"
        if match := _COMPARISON.fullmatch(term):
            return f"{self.sql} {(match[1] or '=').replace('!=', '<>')} {match[2]}"
        if match := _RANGE.fullmatch(term):
            return f"{self.sql} between {match[1]} and {match[2]}"
        if match := _INTERVAL.fullmatch(term):
            return self._number_interval(*match.groups())
        raise self._error()

    def _number_interval(
        self, opening: str, low: str | None, high: str | None, closing: str
    ) -> str:
        bounds = []
        if low and low.lower() != "-inf":
            bounds.append(f"{self.sql} {'>=' if opening == '[' else '>'} {low}")
        if high and high.lower() != "inf":
            bounds.append(f"{self.sql} {'<=' if closing == ']' else '<'} {high}")
        return " and ".join(bounds) or f"{self.sql} is not null"

    def _interval(self, text: str) -> tuple[datetime | None, datetime | None]:
        """Return the first moment of the interval, and the first after it."""
        lower = text.lower()
        if lower.startswith("after "):
            return self._moment(text[6:])[0], None
        if lower.startswith(("before ", "until ")):
            return None, self._moment(text.split(maxsplit=1)[1])[0]
        first, to, last = re.sub(r"\s+to\s+", " to ", lower).partition(" to ")
        if to:
            return self._moment(first)[0], self._moment(last)[0]
        return self._moment(lower)

    def _moment(self, text: str) -> tuple[datetime, datetime]:
        text = text.strip().lower()
        today = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        if text in {"today", "yesterday"}:
            start = today - timedelta(days=text == "yesterday")
            return start, start + timedelta(days=1)
        for pattern, read in self._notations():
            if match := pattern.fullmatch(text):
                try:
                    return read(match)
                except (ValueError, OverflowError):
                    break
        raise self._error()

    def _notations(
        self,
    ) -> tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[datetime, datetime]]], ...]:
        return ((_MOMENT, _written), (_SPAN, self._span), (_NAMED_SPAN, self._named_span))

    def _span(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        """Return the interval of a span: `7 days` ends with today, and `7 days ago` is one day."""
        count, unit = int(match[1]), match[2]
        start = _start_of(unit, self.now)
        if match[3]:
            return _plus(start, unit, -count), _plus(start, unit, 1 - count)
        return _plus(start, unit, 1 - count), _plus(start, unit, 1)

    def _named_span(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        unit = match[2]
        start = _plus(_start_of(unit, self.now), unit, -(match[1] == "last"))
        return start, _plus(start, unit, 1)

    def _error(self) -> FilterError:
        return FilterError(f'"{self.expression}" is not a filter expression for this field')


def _either(positive: list[str], negative: list[str]) -> str:
    """Return a condition for any of the positive conditions and all of the negative ones."""
    conditions = [f"({' or '.join(positive)})"] if positive else []
    return " and ".join(conditions + [f"({condition})" for condition in negative]) or "true"


def _text_terms(expression: str) -> Iterator[tuple[str, bool, bool]]:
    """Yield the terms between commas: LIKE pattern, whether it has a wildcard, is negated."""
    for term in re.findall(r'(?:\^.|"(?:[^"^]|\^.)*"|[^,])+', expression):
        text = term.strip()
        negated = text.startswith("-")
        pattern, wild = _like_pattern(text[1:] if negated else text)
        yield pattern, wild, negated


def _like_pattern(text: str) -> tuple[str, bool]:
    pattern, wild, escaped = "", False, False
    for character in text:
        if escaped or character not in '^%_"':
            pattern += f"\\{character}" if character in "%_\\" else character
            escaped = False
        elif character == "^":
            escaped = True
        elif character in "%_":
            pattern += character
            wild = True
    return pattern.replace("'", "''"), wild


def _text_term(sql: str, pattern: str, wild: bool, negated: bool) -> tuple[str, bool]:  # noqa: FBT001 - a tuple's parts
    if pattern.upper() == "EMPTY":
        condition = f"({sql} is null or {sql} = '')"
    elif pattern.upper() == "NULL":
        condition = f"{sql} is null"
    elif wild:
        condition = f"coalesce({sql} like '{pattern}' escape '\\', false)"
    else:
        unescaped = re.sub(r"\\(.)", r"\1", pattern)
        condition = f"coalesce({sql} = '{unescaped}', false)"
    return (f"not {condition}" if negated else condition), negated


def _written(match: re.Match[str]) -> tuple[datetime, datetime]:
    """Return a written moment, and the end of the unit it is written in."""
    parts = [int(part) for part in match.groups() if part is not None]
    start = datetime(*(parts + [1] * max(0, 3 - len(parts))))  # type: ignore[arg-type]  # noqa: DTZ001 - local time of the query
    unit = ("year", "month", "day", "hour", "minute", "second")[len(parts) - 1]
    return start, _plus(start, unit, 1)


def _start_of(unit: str, moment: datetime) -> datetime:
    moment = moment.replace(microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0)
    starts = {
        "second": moment,
        "minute": moment.replace(second=0),
        "hour": moment.replace(minute=0, second=0),
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "year": day.replace(month=1, day=1),
    }
    return starts[unit]


def _plus(moment: datetime, unit: str, count: int) -> datetime:
    if unit in {"month", "year"}:
        months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "year" else 1)
        return moment.replace(year=months // 12, month=months % 12 + 1, day=1)
    return moment + timedelta(**{f"{unit}s": count})
