"""Types of columns: the JSON Schema and the reader of values for each of Looker's types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import lru_cache
from types import MappingProxyType, NoneType
from typing import Any

import msgspec

from tap_looker_tasks.records.timestamps import to_utc
from tap_looker_tasks.results import as_object, as_objects, as_text

_Converter = Callable[[Any], object]

UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError)
# Hours of nearly four years.
_CACHED_HOURS = 32768
_MAX_INTEGER = 1000
_ALL_DIGITS = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)
# <https://sdk.meltano.com/en/latest/guides/schema-features.html>
DECIMAL_FORMAT = "x-singer.decimal"
# The SDK keeps unknown keywords here; the message writer writes them as targets read them.
DECIMAL_KEY = "x-sql-datatype-properties"
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATE_HOUR = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d", re.ASCII)
_HOUR_ENDS = len("2026-01-31 12")
_MINUTES = re.compile(r":[0-5]\d:[0-5]\d(?:\.\d+)?", re.ASCII)
# Numbers keep their digits.
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_YESNO = MappingProxyType(
    {
        None: None,
        True: True,
        False: False,
        **dict.fromkeys(("Yes", "yes", "true"), True),
        **dict.fromkeys(("No", "no", "false"), False),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class ColumnType:
    """Declaration and reader of the values of some of Looker's types.

    Attributes:
        name: Name of such a value in messages.
        json_schema: Declaration of the values; nullable.
        converter: Function from the time zone of the values to a function that turns a value of the
            result into the record's; that raises one of `UNREADABLE` if the value is of another
            kind.
        native_types: Python types of the values that need no converter.
        is_number: Whether values compare as numbers.
        fallback: Function that returns a text for a value that the converter cannot read.
    """

    name: str
    json_schema: dict[str, Any]
    converter: Callable[[tzinfo | None], _Converter]
    native_types: frozenset[type] = frozenset({NoneType})
    is_number: bool = False
    fallback: _Converter = lambda value: value


def read_number(value: object) -> int | Decimal | None:
    """Read a number with all its digits; some databases send it to Looker as a string.

    Raises:
        ValueError: If it is not a finite number.
    """
    kind = type(value)
    if value is None or kind is int or kind is Decimal:
        return value  # type: ignore[return-value]
    found = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if found:
        return Decimal(found[0]) if found[1] or found[2] else int(found[0])
    msg = f"{value!r} is not a number"
    raise ValueError(msg)


def _integer(value: object) -> int | None:
    number = read_number(value)
    if not isinstance(number, Decimal):
        return number
    # A short text such as `1e1000000` may be a number with a million digits.
    if number.adjusted() < _MAX_INTEGER and (integer := int(number)) == number:
        return integer
    msg = f"{value!r} is not an integer"
    raise ValueError(msg)


def _string(value: object) -> str | None:
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    # Structs, arrays and variants of a database: targets load them as text, but not as objects.
    return _ENCODER.encode(value).decode()


@lru_cache(4096)
def _date(value: str | None) -> str | None:
    if value is None:
        return None
    if not _DATE.fullmatch(value):
        msg = f"{value!r} is not a date"
        raise ValueError(msg)
    return date.fromisoformat(value).isoformat()


def _date_times(zone: tzinfo | None) -> _Converter:
    """Return a function like `to_utc` that looks up the time zone once per hour of values.

    For example, `2026-01-31 12:30:00` in New York is the hour `2026-01-31T17` of UTC for its
    `2026-01-31 12`, and the end `:30:00+00:00` for its `:30:00`.
    """
    hours, ends = _hours_in_utc(zone), _ends_of_hours()

    def convert(value: str | None) -> str | None:
        if value is None:
            return None
        hour, rest = hours[value[:_HOUR_ENDS]], value[_HOUR_ENDS:]
        if hour and (end := ends.get(rest)):
            return hour + end
        if hour and _MINUTES.fullmatch(rest):
            return f"{hour}{rest}+00:00"
        return to_utc(value, zone)

    return convert


class _HoursInUtc(dict[str, str | None]):
    """UTC hour of each hour in a time zone; None for hours that are skipped or repeated there."""

    def __init__(self, zone: tzinfo | None) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, date_hour: str) -> str | None:
        if len(self) >= _CACHED_HOURS:
            self.clear()
        hour = self[date_hour] = self._find(date_hour)
        return hour

    def _find(self, date_hour: str) -> str | None:
        if self._zone is None or not _DATE_HOUR.fullmatch(date_hour):
            return None
        try:
            start = datetime.fromisoformat(date_hour).replace(tzinfo=self._zone)
            is_one = start.utcoffset() == start.replace(minute=59, second=59).utcoffset()
            in_utc = start.astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        is_full_hour = not (in_utc.minute or in_utc.second or in_utc.microsecond)
        return in_utc.isoformat()[:_HOUR_ENDS] if is_one and is_full_hour else None


@lru_cache(8)
def _hours_in_utc(zone: tzinfo | None) -> _HoursInUtc:
    return _HoursInUtc(zone)


@lru_cache(1)
def _ends_of_hours() -> Mapping[str, str]:
    """Return a mapping from minutes and full seconds to the same, with the offset of UTC."""
    sixty = [f":{number:02}" for number in range(60)]
    return {minute + second: f"{minute}{second}+00:00" for minute in sixty for second in sixty}


def _identity(value: object) -> object:
    return value


def _nullable(type_: str, **more: str) -> dict[str, Any]:
    return {"type": [type_, "null"], **more}


STRING = ColumnType("string", _nullable("string"), lambda _: _string, frozenset({str, NoneType}))
NUMBER = ColumnType(
    "number",
    _nullable("number"),
    lambda _: read_number,
    frozenset({int, Decimal, NoneType}),
    is_number=True,
)
INTEGER = ColumnType(
    "integer", _nullable("integer"), lambda _: _integer, frozenset({int, NoneType}), is_number=True
)
YESNO = ColumnType(
    "yesno", _nullable("boolean"), lambda _: _YESNO.__getitem__, frozenset({bool, NoneType})
)
DATE = ColumnType("date", _nullable("string", format="date"), lambda _: _date)
DATE_TIME = ColumnType("date-time", _nullable("string", format="date-time"), _date_times)
LOCAL_DATE_TIME = ColumnType(
    "date-time of an unknown time zone", STRING.json_schema, STRING.converter, STRING.native_types
)
ANYTHING = ColumnType(
    "value of any type",
    {
        # Targets that support one type only use the first. `properties` is absent: targets drop a
        # column whose `properties` are empty.
        "anyOf": [
            {"type": type_} for type_ in ("object", "array", "string", "number", "boolean", "null")
        ]
    },
    lambda _: _identity,
    frozenset({dict, list, str, int, Decimal, bool, NoneType}),
)
_TYPES = MappingProxyType(
    {
        STRING: (
            *("string", "zipcode", "tier", "bin"),
            *("date_month", "date_month_name", "date_quarter", "date_quarter_of_year"),
            *("date_fiscal_quarter", "date_fiscal_quarter_of_year", "date_fiscal_year"),
            *("date_day_of_week", "date_time_of_day"),
        ),
        NUMBER: (
            *("number", "distance", "sum", "sum_distinct", "average", "average_distinct"),
            *("min", "max", "median", "median_distinct", "percentile", "percentile_distinct"),
            *("running_total", "percent_of_total", "percent_of_previous", "period_over_period"),
        ),
        INTEGER: (
            *("int", "count", "count_distinct"),
            *("date_year", "date_month_num", "date_fiscal_month_num", "date_week_of_year"),
            *("date_day_of_year", "date_day_of_month", "date_day_of_week_index"),
            "date_hour_of_day",
        ),
        YESNO: ("yesno", "date_yesno"),
        DATE: ("date", "date_date", "date_week"),
        DATE_TIME: (
            *("date_time", "date_hour", "date_minute", "date_second"),
            *("date_millisecond", "date_microsecond"),
        ),
        # Looker never converts it to the query's time zone.
        LOCAL_DATE_TIME: ("date_raw",),
    }
)
TYPE_BY_LOOKER_TYPE = MappingProxyType(
    {type_: kind for kind, types in _TYPES.items() for type_ in types}
)


def column_type_of(looker_type: str | None) -> ColumnType:
    """Return the column type of a field's LookML type; an unknown type may have any value.

    <https://docs.cloud.google.com/looker/docs/reference/param-field-type>
    """
    if not looker_type:
        return ANYTHING
    if looker_type.startswith("duration_"):
        return NUMBER
    # `date_minute15` and `date_hour6` are written like minutes and hours.
    return TYPE_BY_LOOKER_TYPE.get(looker_type.rstrip("0123456789"), ANYTHING)


@lru_cache(64)
def decimal_type(precision: int, scale: int) -> ColumnType:
    """Return the type of numbers declared as exact decimals, which are written as text.

    Args:
        precision: Maximum number of digits.
        scale: Maximum number of digits after the point.
    """

    def convert(value: object) -> str | None:
        number = read_number(value)
        if number is None:
            return None
        # 12.5000 has the digits 1, 2, 5: 2 before the point, 1 after it.
        _, digits, exponent = Decimal(number).normalize(_ALL_DIGITS).as_tuple()
        after = max(0, -int(exponent))
        before = max(0, len(digits) + int(exponent))
        if after <= scale and before <= precision - scale:
            return f"{Decimal(number):f}"
        msg = f"{value!r} is not a decimal of {precision} digits, {scale} of them after the point"
        raise ValueError(msg)

    return ColumnType(
        f"decimal({precision},{scale})",
        {
            **_nullable("string", format=DECIMAL_FORMAT),
            DECIMAL_KEY: {"precision": precision, "scale": scale},
        },
        lambda _: convert,
        is_number=True,
        fallback=_string,
    )


def read_decimal_size(json_schema: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return precision and scale of a property declared as a decimal; None if it is not one.

    Raises:
        ValueError: If they are absent or impossible, or the property is not simply text.
    """
    declared = {*_alternatives(json_schema)}
    if DECIMAL_FORMAT not in {json_schema.get("format"), *(format_ for _, format_ in declared)}:
        return None
    if declared == {("string", DECIMAL_FORMAT)}:
        match {**as_object(json_schema.get(DECIMAL_KEY)), **json_schema}:
            case {"precision": int(precision), "scale": int(scale)} if 0 <= scale <= precision:
                return precision, scale
    msg = (
        f'the format {DECIMAL_FORMAT} needs `type: [string, "null"]`, `precision` and `scale`, '
        "such as 38 and 9"
    )
    raise ValueError(msg)


def column_type_in_schema(json_schema: Mapping[str, Any]) -> ColumnType:
    """Return the type of a property in a stream's schema, which a catalog may have changed."""
    if size := read_decimal_size(json_schema):
        return decimal_type(*size)
    declared = [*_alternatives(json_schema)]
    if len(declared) != 1:
        return ANYTHING
    [(type_, format_)] = declared
    return _DECLARED.get((type_, format_)) or _DECLARED.get((type_, None), ANYTHING)


def _alternatives(json_schema: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield each type except null that a schema allows, with its format."""
    types = json_schema.get("type")
    for type_ in types if isinstance(types, list) else [types]:
        if isinstance(type_, str) and type_ != "null":
            yield type_, as_text(json_schema.get("format"))
    for key in ("anyOf", "oneOf"):
        for alternative in as_objects(json_schema.get(key)):
            yield from _alternatives(alternative)


_DECLARED = MappingProxyType(
    {
        (column_type.json_schema["type"][0], column_type.json_schema.get("format")): column_type
        for column_type in (STRING, NUMBER, INTEGER, YESNO, DATE, DATE_TIME)
    }
)
