"""The part of Liquid that LookML's SQL needs: parameters and templated filters.

<https://docs.cloud.google.com/looker/docs/templated-filters>
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PARAMETER = re.compile(
    r"\{%-?\s*parameter\s+([\w.]+)\s*-?%\}|\{\{-?\s*([\w.]+)\._parameter_value\s*-?\}\}"
)
_CONDITION = re.compile(
    r"\{%-?\s*condition\s+([\w.]+)\s*-?%\}(.*?)\{%-?\s*endcondition\s*-?%\}", re.DOTALL
)
_ANY_TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)


def expand_liquid(
    sql: str, parameter: Callable[[str], str], condition: Callable[[str, str], str]
) -> str:
    """Return SQL with its Liquid replaced.

    Args:
        sql: as LookML has it.
        parameter: SQL of a parameter's value, by the name of the parameter.
        condition: SQL of a condition, by the name of the filter and the expression it compares.
    """
    sql = _CONDITION.sub(lambda match: f"({condition(match[1], match[2].strip())})", sql)
    return _PARAMETER.sub(lambda match: parameter(match[1] or match[2]), sql)


def find_unknown_liquid(sql: str) -> list[str]:
    """Return the tags that `expand_liquid` would leave in SQL."""
    return _ANY_TAG.findall(_PARAMETER.sub("", _CONDITION.sub(r"\2", sql)))
