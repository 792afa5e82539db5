"""Looker field -> JSON Schema and value -> record value, in one mapping."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache, partial
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from tap_looker_tasks.looker.json_text import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tap_looker_tasks.looker.result import Field

    _Converter = Callable[[Any], object]

QUERY_TASK_ID = "_query_task_id"
ROW_NUMBER = "_row_number"
UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError)
_DATES_REMEMBERED = 4096
# Those of nearly four years.
_HOURS_REMEMBERED = 32768
_LONGEST_INTEGER = 1000
_LONGEST_EXAMPLE = 60
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATE_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)"
    r"(?P<fraction>\.\d+)?)?)?\s*(?P<offset>Z|UTC|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?",
    re.ASCII,
)
_DATE_HOUR = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d", re.ASCII)
_HOUR_ENDS = len("2026-01-31 12")
_MINUTES = re.compile(r":[0-5]\d:[0-5]\d(?:\.\d+)?", re.ASCII)
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
class Kind:
    """How the values of some of Looker's types are declared, and how they are read.

    Attributes:
        name: what messages call such a value.
        json_schema: declares it; nullable.
        converter: makes, for the time zone of the values, what turns a value of the result into
            the record's; it raises one of `UNREADABLE` when the value is of another kind.
        as_they_are: Python's types of the values that need no converter.
    """

    name: str
    json_schema: Mapping[str, object]
    converter: Callable[[tzinfo | None], _Converter]
    as_they_are: frozenset[type] = frozenset({NoneType})


@dataclass(frozen=True, slots=True)
class ExploreField:
    """What Looker says of a field before any query runs.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/LookmlModelExploreField>

    Attributes:
        name: `view.field`, or the name of a custom field or table calculation.
        type: LookML's type.
        label: what people see.
        description: what the model's author says about it.
        category: `dimension`, `measure`, `filter`, `parameter` or `table_calculation`.
        converts_time_zone: whether its date-times are in the query's time zone; otherwise
            nobody but the database knows which one they are in.
    """

    name: str
    type: str | None
    label: str | None = None
    description: str | None = None
    category: str | None = None
    converts_time_zone: bool = True


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a row stream.

    Attributes:
        name: what records call it.
        field: what Looker calls it.
        kind: how its values are declared and read.
        type: Looker's type, when it is known.
        title: Looker's label.
        description: Looker's description.
    """

    name: str
    field: str
    kind: Kind
    type: str | None = None
    title: str | None = None
    description: str | None = None


def zone_named(name: str | None) -> tzinfo | None:
    """Find a time zone by its name; None when there is no such zone."""
    # Not every system has a database of time zones, and most queries need none.
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, LookupError, OSError):
        return None


def to_utc(text: str, zone: tzinfo | None) -> str:
    """Read a date-time, and write it as RFC 3339 in UTC with every digit of its second.

    A time without an offset is one of `zone`: the first of two when clocks were set back, and
    as much later as clocks were set forward when they passed over it.

    Raises:
        ValueError: it is no date-time, or nothing says what its offset is.
        OverflowError: in UTC it is outside the years 1 to 9999.
    """
    found = _DATE_TIME.fullmatch(text)
    offset = _offset(found) if found and found["offset"] else zone
    if not found or offset is None:
        msg = f"{text!r} is no date-time of a known time zone"
        raise ValueError(msg)
    time = ":".join((found["hour"], found["minute"] or "00", found["second"] or "00"))
    moment = datetime.fromisoformat(f"{found['date']}T{time}").replace(tzinfo=offset)
    in_utc = moment.astimezone(timezone.utc)
    return f"{in_utc.replace(tzinfo=None).isoformat()}{found['fraction'] or ''}+00:00"


def to_local(text: str, zone: tzinfo | None) -> str:
    """Read a date-time with an offset, and write it as Looker would: `2026-01-31 12:30:00`.

    Fractions of a second are cut off. In an hour that clocks pass through twice, nobody could
    tell which of the two is meant: the hour before it is taken instead.

    Raises:
        ValueError: it is no date-time with an offset, or the zone is None.
        OverflowError: it is outside the years 1 to 9999.
    """
    if zone is None:
        msg = f"nothing says which time zone to write {text!r} in"
        raise ValueError(msg)
    local = datetime.fromisoformat(to_utc(text, None)[:19] + "+00:00").astimezone(zone)
    while local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        local -= timedelta(hours=1)
    return local.replace(tzinfo=None, microsecond=0).isoformat(" ")


def _offset(found: re.Match[str]) -> tzinfo:
    if not found["sign"]:
        return timezone.utc
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
    return timezone(-offset if found["sign"] == "-" else offset)


def read_number(value: object) -> int | Decimal | None:
    """Read a number, which some databases hand to Looker as a string, with all its digits.

    Raises:
        ValueError: it is none, or not a finite one.
    """
    kind = type(value)
    if value is None or kind is int or kind is Decimal:
        return value  # type: ignore[return-value]
    found = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if found:
        return Decimal(found[0]) if found[1] or found[2] else int(found[0])
    msg = f"{value!r} is no number"
    raise ValueError(msg)


def _integer(value: object) -> int | None:
    number = read_number(value)
    if not isinstance(number, Decimal):
        return number
    # A short number may stand for one with a million digits.
    if number.adjusted() < _LONGEST_INTEGER and (whole := int(number)) == number:
        return whole
    msg = f"{value!r} is no integer"
    raise ValueError(msg)


def _string(value: object) -> str | None:
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    msg = f"{value!r} is no string"
    raise ValueError(msg)


@lru_cache(_DATES_REMEMBERED)
def _date(value: str | None) -> str | None:
    if value is None:
        return None
    if not _DATE.fullmatch(value):
        msg = f"{value!r} is no date"
        raise ValueError(msg)
    return date.fromisoformat(value).isoformat()


def _date_time(value: str | None, zone: tzinfo | None) -> str | None:
    """Do as `to_utc` does, but ask for the time zone once an hour of the values."""
    if value is None:
        return None
    hour = _hour_in_utc(value[:_HOUR_ENDS], zone)
    if hour and _MINUTES.fullmatch(value, _HOUR_ENDS):
        return f"{hour}{value[_HOUR_ENDS:]}+00:00"
    return to_utc(value, zone)


@lru_cache(_HOURS_REMEMBERED)
def _hour_in_utc(date_hour: str, zone: tzinfo | None) -> str | None:
    """Tell the hour it is in UTC, if all of it is one hour there."""
    if zone is None or not _DATE_HOUR.fullmatch(date_hour):
        return None
    try:
        start = datetime.fromisoformat(f"{date_hour}:00").replace(tzinfo=zone)
        offset = start.utcoffset() or timedelta()
        is_one = offset == start.replace(minute=59, second=59).utcoffset()
        in_utc = start.replace(tzinfo=None) - offset
    except (ValueError, OverflowError):
        return None
    is_whole = not (in_utc.minute or in_utc.second or in_utc.microsecond)
    return in_utc.isoformat()[:_HOUR_ENDS] if is_one and is_whole else None


def _as_it_is(value: object) -> object:
    return value


def _nullable(type_: str, **more: str) -> Mapping[str, object]:
    return MappingProxyType({"type": (type_, "null"), **more})


STRING = Kind("string", _nullable("string"), lambda _: _string, frozenset({str, NoneType}))
NUMBER = Kind(
    "number", _nullable("number"), lambda _: read_number, frozenset({int, Decimal, NoneType})
)
INTEGER = Kind("integer", _nullable("integer"), lambda _: _integer, frozenset({int, NoneType}))
YESNO = Kind(
    "yesno", _nullable("boolean"), lambda _: _YESNO.__getitem__, frozenset({bool, NoneType})
)
DATE = Kind("date", _nullable("string", format="date"), lambda _: _date)
DATE_TIME = Kind(
    "date-time",
    _nullable("string", format="date-time"),
    lambda zone: partial(_date_time, zone=zone),
)
LOCAL_DATE_TIME = Kind(
    "date-time of an unknown time zone", STRING.json_schema, STRING.converter, STRING.as_they_are
)
ANYTHING = Kind(
    "value of any type",
    MappingProxyType(
        {
            # Targets that know one type only take the first. No `properties`: where it is there
            # and empty, they drop the column.
            "anyOf": tuple(
                MappingProxyType({"type": type_})
                for type_ in ("object", "array", "string", "number", "boolean", "null")
            )
        }
    ),
    lambda _: _as_it_is,
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
            *("number", "int", "distance", "sum", "sum_distinct", "average", "average_distinct"),
            *("min", "max", "median", "median_distinct", "percentile", "percentile_distinct"),
            *("running_total", "percent_of_total", "percent_of_previous", "period_over_period"),
        ),
        INTEGER: (
            *("count", "count_distinct"),
            *("date_year", "date_month_num", "date_fiscal_month_num", "date_week_of_year"),
            *("date_day_of_year", "date_day_of_month", "date_day_of_week_index"),
            "date_hour_of_day",
        ),
        YESNO: ("yesno", "date_yesno"),
        DATE: ("date", "date_date", "date_week"),
        DATE_TIME: (
            *("date_time", "date_raw", "date_hour", "date_minute", "date_second"),
            *("date_millisecond", "date_microsecond"),
        ),
    }
)
_KINDS = MappingProxyType({type_: kind for kind, types in _TYPES.items() for type_ in types})


def kind_of(looker_type: str | None) -> Kind:
    """Find the kind of a field by LookML's type; a type nobody knows may have any value.

    <https://docs.cloud.google.com/looker/docs/reference/param-field-type>
    """
    if not looker_type:
        return ANYTHING
    if looker_type.startswith("duration_"):
        return NUMBER
    # `date_minute15` and `date_hour6` are written as minutes and hours are.
    return _KINDS.get(looker_type.rstrip("0123456789"), ANYTHING)


def explore_fields(explore: Mapping[str, Any]) -> dict[str, ExploreField]:
    """Read the fields of an Explore, by name.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/LookmlModel/lookml_model_explore>

    Args:
        explore: the answer, whose `fields` have at least `name` and `type`, and for the
            schema's sake `label`, `description` and `convert_tz`.
    """
    groups = explore.get("fields") or {}
    found = (
        (group.removesuffix("s"), entry)
        for group in ("dimensions", "measures", "filters", "parameters")
        for entry in groups.get(group) or ()
    )
    return {
        entry["name"]: ExploreField(
            name=entry["name"],
            type=entry.get("type"),
            label=entry.get("label"),
            description=entry.get("description"),
            category=category,
            converts_time_zone=entry.get("convert_tz") is not False,
        )
        for category, entry in found
    }


def result_fields(fields: Iterable[Field]) -> dict[str, ExploreField]:
    """Take the fields that a result names for those of an Explore nobody may read."""
    return {
        field.name: ExploreField(field.name, field.type, field.label, category=field.category)
        for field in fields
    }


def custom_fields(dynamic_fields: object) -> dict[str, ExploreField]:
    """Read a query's custom fields and table calculations, by name.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Query>

    Args:
        dynamic_fields: a JSON string, as queries have it, or None.

    Raises:
        ValueError: it is not a JSON array of objects.
    """
    if not dynamic_fields:
        return {}
    try:
        found = msgspec.json.decode(str(dynamic_fields), type=list[dict[str, Any]])
    except (msgspec.DecodeError, RecursionError):
        msg = f"not a JSON array of custom fields: {quoted(str(dynamic_fields).encode())}"
        raise ValueError(msg) from None
    fields = (
        _custom_field(entry, category)
        for entry in found
        for category in ("table_calculation", "dimension", "measure")
        if isinstance(entry.get(category), str) and entry.get("is_disabled") is not True
    )
    return {field.name: field for field in fields}


def _custom_field(entry: Mapping[str, Any], category: str) -> ExploreField:
    type_ = entry.get("type")
    # The greatest and least of dates are dates; everything else says what it is.
    if type_ is None or type_ in {"min", "max"}:
        type_ = entry.get("_type_hint") or type_
    return ExploreField(
        name=entry[category],
        type=type_ if isinstance(type_, str) else None,
        label=entry.get("label"),
        description=entry.get("description"),
        category=category,
    )


def column_name(field: str) -> str:
    """Name the column of a field: `orders.created_date` -> `orders__created_date`."""
    return field.replace(".", "__")


def query_fields(query: Mapping[str, Any]) -> tuple[str, ...]:
    """List what a query asks for, in its order: fields, pivots, table calculations.

    Raises:
        ValueError: its `dynamic_fields` are not a JSON array of objects.
    """
    # Looker computes table calculations whether or not the fields name them.
    calculations = (
        field.name
        for field in custom_fields(query.get("dynamic_fields")).values()
        if field.category == "table_calculation"
    )
    names = (*(query.get("fields") or ()), *(query.get("pivots") or ()), *calculations)
    return tuple(dict.fromkeys(names))


def columns_of(known: Mapping[str, ExploreField], query: Mapping[str, Any]) -> tuple[Column, ...]:
    """Describe the columns of a query, in the query's order.

    Args:
        known: the fields of its Explore; a field that is not among them may have any value.
        query: its body: `fields`, `pivots` and `dynamic_fields`.

    Raises:
        ValueError: its `dynamic_fields` are not a JSON array of objects.
    """
    known = {**known, **custom_fields(query.get("dynamic_fields"))}
    return tuple(
        _column(known.get(name) or ExploreField(name, type=None)) for name in query_fields(query)
    )


def _column(field: ExploreField) -> Column:
    kind = kind_of(field.type)
    if kind is DATE_TIME and not field.converts_time_zone:
        kind = LOCAL_DATE_TIME
    return Column(
        name=column_name(field.name),
        field=field.name,
        kind=kind,
        type=field.type,
        title=field.label,
        description=field.description,
    )


def kind_in_schema(json_schema: Mapping[str, Any]) -> Kind:
    """Tell what a property of a stream's schema holds; a catalog may have changed it."""
    types = json_schema.get("type") or ()
    first = next((t for t in ([types] if isinstance(types, str) else types) if t != "null"), None)
    declared = {
        (kind.json_schema["type"][0], kind.json_schema.get("format")): kind  # type: ignore[index]
        for kind in (STRING, NUMBER, INTEGER, YESNO, DATE, DATE_TIME)
    }
    return declared.get((first, json_schema.get("format")), ANYTHING)


def columns_in_schema(schema: Mapping[str, Any], fields: Iterable[str]) -> tuple[Column, ...]:
    """Find the columns of fields in a stream's schema; a field may have none there."""
    properties = schema["properties"]
    return tuple(
        Column(name, field, kind_in_schema(properties[name]))
        for field in fields
        if (name := column_name(field)) in properties
    )


def collisions(columns: Iterable[Column]) -> list[str]:
    """Name, in one line each, the fields that would become one column."""
    fields = defaultdict(list)
    for column in columns:
        fields[column.name].append(repr(column.field))
    return [
        f"{' and '.join(names)} would both be the column {column}"
        if column not in {QUERY_TASK_ID, ROW_NUMBER}
        else f"{names[0]} would be the column {column}, which every stream has already"
        for column, names in fields.items()
        if len(names) > 1 or column in {QUERY_TASK_ID, ROW_NUMBER}
    ]


def stream_schema(columns: Iterable[Column], key_properties: Sequence[str]) -> dict[str, Any]:
    """Write the JSON Schema of a row stream, its columns in the query's order.

    Args:
        columns: of the query.
        key_properties: names of columns that every record has.
    """
    properties: dict[str, Any] = {
        QUERY_TASK_ID: {"type": "string", "description": "Looker's id of the query task"},
        ROW_NUMBER: {"type": "integer", "description": "Place of the record, from 1"},
    }
    properties |= {column.name: _property(column) for column in columns}
    return {"type": "object", "properties": properties, "required": [*key_properties]}


def _property(column: Column) -> dict[str, Any]:
    said = {"title": column.title, "description": column.description}
    # The SDK looks for `anyOf` in the first place.
    schema = {key: _plain(value) for key, value in column.kind.json_schema.items()}
    return schema | {key: text for key, text in said.items() if text}


def _plain(found: object) -> object:
    """Copy a part of a schema into the dicts and lists that the SDK takes."""
    if isinstance(found, tuple):
        return [dict(entry) if isinstance(entry, MappingProxyType) else entry for entry in found]
    return found


def vanished(schema: Mapping[str, Any], fields: Iterable[Field] | None) -> list[str]:
    """Name the columns of a stream's schema that a result has no field for."""
    if fields is None:
        return []
    names = {column_name(field.name) for field in fields} | {QUERY_TASK_ID, ROW_NUMBER}
    return [name for name in schema["properties"] if name not in names]


def compare(columns: Iterable[Column], fields: Iterable[Field] | None) -> list[str]:
    """Say, in one line each, where a result is not what its columns were declared for.

    Args:
        columns: as declared.
        fields: those the result names; None when it names none.
    """
    if fields is None:
        return []
    found = {field.name: field for field in fields}
    return [message for column in columns if (message := _drift(column, found.get(column.field)))]


def _drift(column: Column, field: Field | None) -> str | None:
    if field is None:
        return f"{column.field}: not in the result any more"
    found = kind_of(field.type)
    declared = kind_of(column.type) if column.type else column.kind
    # A catalog does not tell Looker's type: moments may be declared as text on purpose.
    is_text = not column.type and declared is STRING and found in {DATE, DATE_TIME}
    if not field.type or is_text or declared in {found, ANYTHING}:
        return None
    was = column.type or declared.name
    return f"{column.field}: declared as {was}, but {field.type} in the result"
