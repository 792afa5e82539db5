"""Describes models and Explores as Looker's API does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from looker_simulator.model import DATE_TYPES

if TYPE_CHECKING:
    from looker_simulator.model import Explore, Field, Model


def as_model(model: Model) -> dict[str, Any]:
    """Describe a model: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/LookmlModel>."""
    explores = [
        {
            "name": explore.name,
            "label": explore.title,
            "description": explore.description,
            "hidden": False,
            "group_label": model.name,
        }
        for explore in model.explores.values()
        if explore.is_readable
    ]
    return {
        "name": model.name,
        "label": model.name.replace("_", " ").title(),
        "project_name": model.name,
        "has_content": True,
        "explores": explores,
    }


def as_explore(model: Model, explore: Explore) -> dict[str, Any]:
    """Describe an Explore: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/LookmlModelExplore>."""
    groups: dict[str, list[dict[str, Any]]] = {
        "dimensions": [],
        "measures": [],
        "filters": [],
        "parameters": [],
    }
    for field in explore.fields.values():
        groups[f"{field.category}s"].append(_as_field(field, explore))
    return {
        "id": f"{model.name}::{explore.name}",
        "name": explore.name,
        "label": explore.title,
        "title": explore.title,
        "description": explore.description,
        "model_name": model.name,
        "view_name": explore.name,
        "project_name": model.name,
        "hidden": False,
        "has_timezone_support": True,
        "fields": groups,
    }


def _as_field(field: Field, explore: Explore) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.label,
        "label_short": field.label_short,
        "description": field.description,
        "type": field.type,
        "category": field.category,
        "measure": field.is_measure,
        "parameter": field.category == "parameter",
        "is_filter": field.category == "filter",
        "is_numeric": field.is_numeric,
        "is_timeframe": field.type in DATE_TYPES,
        "is_fiscal": False,
        "dimension_group": _dimension_group(field),
        "time_interval": _time_interval(field),
        "datatype": field.datatype,
        "convert_tz": field.convert_tz,
        "primary_key": field.primary_key,
        "default_filter_value": field.default_value or None,
        "view": field.view,
        "view_label": field.view.replace("_", " ").title(),
        "scope": field.view,
        "original_view": field.view,
        "can_filter": True,
        "sortable": True,
        "hidden": field.hidden,
        "dynamic": False,
        "tags": [],
        "sql": field.sql,
        "field_group_label": None,
        "source_file": f"{explore.name}.view.lkml",
    }


def _dimension_group(field: Field) -> str | None:
    return field.name.rpartition("_")[0] if field.type in DATE_TYPES else None


def _time_interval(field: Field) -> dict[str, Any] | None:
    unit = field.type.removeprefix("date_")
    named = {"time": "second", "date": "day"}.get(unit, unit)
    if field.type not in DATE_TYPES or unit == "raw":
        return None
    return {"name": named, "count": 1}
