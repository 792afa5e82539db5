"""Fields before a query runs: of an Explore, custom, or of an earlier result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tap_looker_tasks.results import Field, as_object, as_objects, as_text, quoted


@dataclass(frozen=True, slots=True)
class ExploreField:
    """Looker's description of a field, known before a query runs.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/LookmlModelExploreField>

    Attributes:
        name: `view.field`, or the name of a custom field or table calculation.
        type: LookML type.
        label: Label that users see.
        description: Description by the model's author.
        category: `dimension`, `measure`, `filter`, `parameter` or `table_calculation`.
        converts_time_zone: Whether its date-times are in the query's time zone; otherwise they are
            in the database's, which is unknown.
        datatype: Type of a time in the database: `date`, `datetime`, `epoch`, `timestamp`, ...
        is_primary_key: Whether it is the primary key of its view.
        is_hidden: Whether Looker's pages hide it.
    """

    name: str
    type: str | None
    label: str | None = None
    description: str | None = None
    category: str | None = None
    converts_time_zone: bool = True
    datatype: str | None = None
    is_primary_key: bool = False
    is_hidden: bool = False

    @property
    def is_filter_only(self) -> bool:
        """Return whether it can be used in filters only."""
        return self.category in {"filter", "parameter"}


@dataclass(frozen=True, slots=True)
class KnownFields:
    """The known fields that a query may use.

    Attributes:
        fields: Fields by name.
        are_all: Whether these are all fields of the Explore; otherwise they are those of the query,
            and there may be others to filter by.
        are_typed: Whether Looker has described them; otherwise only their names are known.
    """

    fields: Mapping[str, ExploreField]
    are_all: bool = True
    are_typed: bool = True


def explore_fields(explore: Mapping[str, Any]) -> dict[str, ExploreField]:
    """Return the fields of an Explore by name; entries that are not fields are skipped.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/LookmlModel/lookml_model_explore>

    Args:
        explore: The response, whose `fields` have at least `name` and `type`, and for the schema
            `label`, `description`, `convert_tz`, `datatype` and `primary_key`.
    """
    groups = as_object(explore.get("fields"))
    # A name in several groups is one field.
    found = (
        (group.removesuffix("s"), entry)
        for group in ("parameters", "filters", "measures", "dimensions")
        for entry in as_objects(groups.get(group))
    )
    return {
        name: _read_field(name, entry.get("type"), category, entry)
        for category, entry in found
        if (name := as_text(entry.get("name")))
    }


def fields_in_result(names: Iterable[str], fields: Iterable[Field]) -> KnownFields:
    """Return a query's fields as a result describes them, for an Explore that is not visible.

    Args:
        names: Fields of the query; a result may describe fewer.
        fields: Fields that the result describes.
    """
    known = {name: ExploreField(name, type=None) for name in names}
    known |= {
        field.name: ExploreField(field.name, field.type, field.label, category=field.category)
        for field in fields
    }
    return KnownFields(known, are_all=False)


def custom_fields(dynamic_fields: object) -> dict[str, ExploreField]:
    """Return a query's custom fields and table calculations by name.

    Args:
        dynamic_fields: As for `dynamic_entries`.

    Raises:
        ValueError: If it is not a JSON array of objects.
    """
    fields = (
        _custom_field(entry, category)
        for entry in dynamic_entries(dynamic_fields)
        for category in ("table_calculation", "dimension", "measure")
        if as_text(entry.get(category))
    )
    return {field.name: field for field in fields}


def dynamic_entries(dynamic_fields: object) -> list[dict[str, Any]]:
    """Return a query's custom fields and table calculations as Looker stores them, if enabled.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Query>

    Args:
        dynamic_fields: JSON text, as queries have it; None or `null` for none.

    Raises:
        ValueError: If it is not a JSON array of objects.
    """
    if not dynamic_fields:
        return []
    try:
        found = msgspec.json.decode(str(dynamic_fields), type=list[dict[str, Any]] | None) or ()
    except (msgspec.DecodeError, RecursionError):
        msg = f"not a JSON array of custom fields: {quoted(str(dynamic_fields).encode())}"
        raise ValueError(msg) from None
    return [entry for entry in found if entry.get("is_disabled") is not True]


def _custom_field(entry: Mapping[str, Any], category: str) -> ExploreField:
    type_ = entry.get("type")
    # Minimum and maximum of dates are dates; all others name their type.
    if type_ is None or type_ in ("min", "max"):
        type_ = entry.get("_type_hint") or type_
    return _read_field(entry[category], type_, category, entry)


def _read_field(name: str, type_: object, category: str, entry: Mapping[str, Any]) -> ExploreField:
    return ExploreField(
        name=name,
        type=as_text(type_),
        label=as_text(entry.get("label")),
        description=as_text(entry.get("description")),
        category=category,
        converts_time_zone=entry.get("convert_tz") is not False,
        datatype=as_text(entry.get("datatype")),
        is_primary_key=entry.get("primary_key") is True,
        is_hidden=entry.get("hidden") is True,
    )
