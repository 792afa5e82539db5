"""Liquid in LookML's SQL: parameters, templated filters, user attributes, conditions.

<https://docs.cloud.google.com/looker/docs/liquid-variable-reference>

`{% if orders.unit._parameter_value == 'week' %} a {% else %} b {% endif %}` and `{% condition
orders.recently %} orders.created {% endcondition %}` are expanded by
[python-liquid](https://pypi.org/project/python-liquid/), with two of Looker's tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from liquid import Environment, Node, StrictUndefined, Tag
from liquid.exceptions import LiquidError
from liquid.parser import get_parser
from liquid.token import TOKEN_EOF, TOKEN_EXPRESSION, TOKEN_TAG
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from liquid import BlockNode, RenderContext, Token, TokenStream

_LOOKER = "looker_simulator"
_END = "endcondition"


@dataclass(frozen=True)
class LiquidValues:
    """Values that Liquid in a query's SQL refers to.

    Attributes:
        parameter: Function that returns the SQL of a parameter's value, by the parameter's name.
        condition: Function that returns the SQL of a condition, by a filter's name and the SQL it
            compares.
        fields: `_parameter_value`, `_is_filtered`, `_is_selected` and `_in_query`, by view and
            field.
        filters: Filter expressions of the query, by field.
        user_attributes: Values of the user's attributes, by name.
    """

    parameter: Callable[[str], str]
    condition: Callable[[str, str], str]
    fields: Mapping[str, Mapping[str, Mapping[str, Any]]]
    filters: Mapping[str, str]
    user_attributes: Mapping[str, str]


def expand_liquid(sql: str, found: LiquidValues) -> str:
    """Return SQL with its Liquid expanded.

    Raises:
        ValueError: If it is not Liquid.
    """
    short = {name: field for fields in found.fields.values() for name, field in fields.items()}
    try:
        return _ENVIRONMENT.from_string(sql).render(
            {
                **short,
                **found.fields,
                "_filters": {**found.filters},
                "_user_attributes": {**found.user_attributes},
                _LOOKER: found,
            }
        )
    except LiquidError as error:
        msg = f"Liquid: {error.message}"
        raise ValueError(msg) from None


def find_liquid_mistake(sql: str) -> str:
    """Return the mistake for which `expand_liquid` would reject SQL; empty for none."""
    try:
        _ENVIRONMENT.from_string(sql)
    except LiquidError as error:
        return f"Liquid: {error.message}"
    return ""


class _ParameterNode(Node):
    def __init__(self, token: Token, name: str) -> None:
        super().__init__(token)
        self._name = name

    @override
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        values: LiquidValues = context.globals[_LOOKER]  # type: ignore[assignment]
        return buffer.write(values.parameter(self._name))


class _ParameterTag(Tag):
    name = "parameter"
    block = False

    @override
    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        stream.expect(TOKEN_EXPRESSION)
        return _ParameterNode(token, stream.current.value.strip())


class _ConditionNode(Node):
    def __init__(self, token: Token, name: str, block: BlockNode) -> None:
        super().__init__(token)
        self._name = name
        self._block = block

    @override
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        values: LiquidValues = context.globals[_LOOKER]  # type: ignore[assignment]
        inner = context.get_buffer(buffer)
        self._block.render(context, inner)
        return buffer.write(f"({values.condition(self._name, inner.getvalue().strip())})")


class _ConditionTag(Tag):
    name = "condition"
    end = _END

    @override
    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        stream.expect(TOKEN_EXPRESSION)
        name = stream.eat(TOKEN_EXPRESSION).value.strip()
        block = get_parser(self.env).parse_block(stream, frozenset({_END, TOKEN_EOF}))
        stream.expect(TOKEN_TAG, value=_END)
        return _ConditionNode(token, name, block)


def _build_environment() -> Environment:
    # An unknown name is a mistake, not an empty text.
    environment = Environment(undefined=StrictUndefined)
    environment.add_tag(_ParameterTag)
    environment.add_tag(_ConditionTag)
    return environment


_ENVIRONMENT = _build_environment()
