"""What Looker knows of fields before any query runs: of an Explore, custom, of a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tap_looker_tasks.looker.json_text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_looker_tasks.looker.result import Field


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
