"""Declared views and Explores -> a model whose Explores can be queried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from looker_simulator.lookml_fields import FieldBuilder
from looker_simulator.model import Explore, Model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from looker_simulator.declarations import Block, Declarations
    from looker_simulator.model import Field

_JOINS: Mapping[str, str] = {
    "left_outer": "left join",
    "inner": "join",
    "full_outer": "full join",
    "cross": "cross join",
}
_MULTIPLYING = frozenset({"one_to_many", "many_to_many"})
_SHOWN_ONLY = frozenset(
    {
        *("case_sensitive", "group_label", "hidden", "persist_for", "persist_with", "tags"),
        *("required_joins", "view_label", "description", "label"),
    }
)
_OF_EXPLORES = frozenset({"from", "view_name", "fields", "sql_always_where", "always_filter"})
_OF_JOINS = frozenset({"from", "type", "relationship", "sql_on", "foreign_key"})
_OF_VIEWS = frozenset({"sql_table_name", "derived_table", "label", "suggestions", "drill_fields"})
_OF_DERIVED_TABLES = frozenset(
    {
        *("sql", "datagroup_trigger", "sql_trigger_value", "persist_for", "indexes"),
        *("distribution", "sortkeys", "partition_keys", "cluster_keys"),
    }
)
_FIELDS = frozenset({"dimension", "dimension_group", "measure", "filter", "parameter", "set"})


def build_model(declared: Declarations) -> tuple[Model, list[str]]:
    """Build a model, and say what of it was not understood.

    Raises:
        ModelError: something is missing, or refers to what is not there.
    """
    warnings = [*declared.warnings]
    for view in declared.views.values():
        warnings += _warn_of_unknown(view, _OF_VIEWS | _FIELDS)
        for table in view.of_kind("derived_table"):
            warnings += _warn_of_unknown(table, _OF_DERIVED_TABLES)
    explores = []
    for block in declared.explores:
        builder = _ExploreBuilder(declared.views, block)
        explores.append(builder.build())
        warnings += builder.warnings
    return Model.of(declared.model, *explores), [*dict.fromkeys(warnings)]


class _ExploreBuilder:
    def __init__(self, views: Mapping[str, Block], block: Block) -> None:
        self._views = views
        self._block = block
        view_name = block.text("view_name")
        self._base = view_name or block.name
        self._joins = [*block.of_kind("join")]
        joined = {self._base: self._find(block, block.text("from") or self._base)}
        for join in self._joins:
            joined[join.name] = self._find(join, join.text("from", join.name))
        self._joined = joined
        self._fields = FieldBuilder(joined, self._base)
        self.warnings: list[str] = []

    def build(self) -> Explore:
        block = self._block
        self.warnings += _warn_of_unknown(block, _OF_EXPLORES | _SHOWN_ONLY | {"join"})
        fields = {field.name: field for field in self._fields.fields()}
        explore = Explore(
            name=block.name,
            tables=" ".join([self._table(self._base), *map(self._join, self._joins)]),
            fields={field.name: field for field in self._select_fields(fields)},
            description=block.text("description"),
            condition=self._expand(block.text("sql_always_where"), block),
            label=block.text("label"),
            always_filter=dict(self._read_always_filter()),
        )
        self.warnings += self._fields.warnings
        return explore

    def _find(self, block: Block, name: str) -> Block:
        if name not in self._views:
            known = ", ".join(sorted(self._views)) or "there is none"
            block.refuse(f"expected a view of the name {name}; known are: {known}")
        return self._views[name]

    def _table(self, alias: str) -> str:
        view = self._joined[alias]
        for derived in view.of_kind("derived_table"):
            sql = self._fields.expand(alias, derived.require("sql"), derived)
            return f'({sql}) as "{alias}"'
        return f'{view.text("sql_table_name", view.name).replace("`", chr(34))} as "{alias}"'

    def _join(self, join: Block) -> str:
        self.warnings += _warn_of_unknown(join, _OF_JOINS | _SHOWN_ONLY)
        if join.text("relationship") in _MULTIPLYING:
            self.warnings.append(
                join.warning("it multiplies rows, and measures count every one of them")
            )
        type_ = join.text("type", "left_outer")
        if type_ not in _JOINS:
            join.refuse(f"expected `type` as one of {', '.join(_JOINS)}")
        text = f"{_JOINS[type_]} {self._table(join.name)}"
        return text if type_ == "cross" else f"{text} on {self._join_condition(join)}"

    def _join_condition(self, join: Block) -> str:
        if foreign_key := join.text("foreign_key"):
            keys = self._joined[join.name].of_kind("dimension")
            key = next((block.name for block in keys if block.is_set("primary_key")), None)
            if key is None:
                join.refuse("expected a dimension with `primary_key: yes` in the view joined")
            full = foreign_key if "." in foreign_key else f"{self._base}.{foreign_key}"
            return self._expand(f"${{{full}}} = ${{{join.name}.{key}}}", join)
        return self._expand(join.require("sql_on"), join)

    def _expand(self, sql: str, block: Block) -> str:
        return self._fields.expand(self._base, sql, block)

    def _select_fields(self, fields: Mapping[str, Field]) -> Iterator[Field]:
        """Yield the fields that `fields` of the Explore leaves in it."""
        named = self._block.texts("fields")
        sets = [name for name in named if name.endswith("*") and name != "ALL_FIELDS*"]
        if sets:
            self.warnings.append(self._block.warning(f"sets are not understood: {', '.join(sets)}"))
        left_out = {name[1:] for name in named if name.startswith("-")}
        only = {name for name in named if not name.startswith("-")}
        for name, field in fields.items():
            if name not in left_out and (not only or name in only or "ALL_FIELDS*" in only):
                yield field

    def _read_always_filter(self) -> Iterator[tuple[str, str]]:
        for block in self._block.of_kind("always_filter"):
            for name, expression in block.pairs("filters"):
                yield (name if "." in name else f"{self._base}.{name}"), expression


def _warn_of_unknown(block: Block, known: frozenset[str]) -> list[str]:
    keys = dict.fromkeys([*block.properties, *(inner.kind for inner in block.blocks)])
    return [block.warning(f"`{key}` is not understood") for key in keys if key not in known]
