"""Looker expressions translated to SQL: table calculations, custom fields, filter expressions.

<https://docs.cloud.google.com/looker/docs/looker-functions-and-operators>

`${orders.amount} > 10 AND matches_filter(${orders.state}, "CA")` becomes
`((orders.amount > 10) and (coalesce(orders.state = 'CA', false)))`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOKEN = re.compile(
    r"""\s*(?:(?P<field>\$\{[^{}]+\})|(?P<number>\d+(?:\.\d+)?)|(?P<text>"[^"]*"|'[^']*')"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<sign><>|!=|<=|>=|[-+*/(),=<>]))"""
)
_COMPARISONS = {"=": "=", "!=": "<>", "<>": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_MAX_DEPTH = 50
_FUNCTIONS: Mapping[str, tuple[int, int, str]] = {
    "abs": (1, 1, "abs({})"),
    "ceiling": (1, 1, "ceil({})"),
    "coalesce": (1, 99, "coalesce({})"),
    "concat": (1, 99, "concat({})"),
    "exp": (1, 1, "exp({})"),
    "floor": (1, 1, "floor({})"),
    "length": (1, 1, "length({})"),
    "ln": (1, 1, "ln({})"),
    "lower": (1, 1, "lower({})"),
    "mod": (2, 2, "mod({})"),
    "power": (2, 2, "power({})"),
    "replace": (3, 3, "replace({})"),
    "round": (1, 2, "round({})"),
    "sqrt": (1, 1, "sqrt({})"),
    "substring": (2, 3, "substring({})"),
    "to_number": (1, 1, "try_cast({} as double)"),
    "to_string": (1, 1, "cast({} as varchar)"),
    "trim": (1, 1, "trim({})"),
    "upper": (1, 1, "upper({})"),
}
_OVER_ROWS: Mapping[str, str] = {
    "max": "max({}) over ()",
    "mean": "avg({}) over ()",
    "median": "median({}) over ()",
    "min": "min({}) over ()",
    "rank": "rank() over (order by {} desc)",
    "row": "row_number() over ({{order}})",
    "running_total": "sum({}) over ({{order}}rows unbounded preceding)",
    "sum": "sum({}) over ()",
}
"""Functions over the rows of the result; `{order}` is replaced by the order of the rows."""
_CONDITIONS: Mapping[str, tuple[int, str]] = {
    "contains": (2, "contains({}, {})"),
    "ends_with": (2, "ends_with({}, {})"),
    "is_null": (1, "({} is null)"),
    "starts_with": (2, "starts_with({}, {})"),
}
_WORDS = {"null": "null", "yes": "true", "no": "false", "true": "true", "false": "false"}
Kind = Literal["value", "condition", "yesno"]


class ExpressionError(ValueError):
    """The expression cannot be parsed, or has a function that the simulator does not compute."""


@dataclass(frozen=True)
class Sql:
    """SQL of an expression, or of a part of it.

    Attributes:
        text: The SQL.
        kind: A value, a condition, or a yesno, which is text in results.
    """

    text: str
    kind: Kind = "value"

    @property
    def condition(self) -> str:
        """Return the SQL as a condition."""
        return f"({self.text} = 'Yes')" if self.kind == "yesno" else self.text

    @property
    def value(self) -> str:
        """Return the SQL as a value for results."""
        if self.kind != "condition":
            return self.text
        return f"case when {self.text} then 'Yes' else 'No' end"


def translate(
    expression: str,
    find_field: Callable[[str], Sql],
    match: Callable[[str, str], str],
    *,
    over_rows: bool = False,
) -> Sql:
    """Translate an expression.

    Args:
        expression: Expression in Looker's language.
        find_field: Function that returns the SQL of a field by its name.
        match: Function that returns the condition of a filter expression on a field.
        over_rows: Whether functions over the rows of the result are allowed.

    Raises:
        ExpressionError: If it cannot be parsed, or names a function that is not computed.
    """
    parser = _Parser(expression, find_field, match, over_rows=over_rows)
    return parser.read_all()


class _Parser:
    def __init__(
        self,
        expression: str,
        find_field: Callable[[str], Sql],
        match: Callable[[str, str], str],
        *,
        over_rows: bool,
    ) -> None:
        self._expression = expression
        self._find_field = find_field
        self._match = match
        self._over_rows = over_rows
        self._tokens = self._split()
        self._position = 0
        self._depth = 0

    def read_all(self) -> Sql:
        found = self._read_or()
        if self._position < len(self._tokens):
            raise self._error()
        return found

    def _split(self) -> list[tuple[str, str]]:
        tokens, position = [], 0
        text = self._expression.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if not found:
                raise self._error()
            tokens.append((str(found.lastgroup), found[found.lastgroup or 0]))
            position = found.end()
        return tokens

    def _error(self) -> ExpressionError:
        return ExpressionError(f"Cannot read the expression {self._expression!r}")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._position] if self._position < len(self._tokens) else ("", "")

    def _take(self, *words: str) -> str | None:
        kind, text = self._peek()
        if kind in {"word", "sign"} and text.lower() in words:
            self._position += 1
            return text.lower()
        return None

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._error()

    def _read_or(self) -> Sql:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error()
        found = self._read_and()
        while self._take("or"):
            found = Sql(f"({found.condition} or {self._read_and().condition})", "condition")
        self._depth -= 1
        return found

    def _read_and(self) -> Sql:
        found = self._read_not()
        while self._take("and"):
            found = Sql(f"({found.condition} and {self._read_not().condition})", "condition")
        return found

    def _read_not(self) -> Sql:
        negations = 0
        while self._take("not"):
            negations += 1
        found = self._read_comparison()
        return Sql(f"(not {found.condition})", "condition") if negations % 2 else found

    def _read_comparison(self) -> Sql:
        left = self._read_sum()
        sign = self._take(*_COMPARISONS)
        if not sign:
            return left
        right = self._read_sum()
        texts = [side.condition if side.kind == "yesno" else side.text for side in (left, right)]
        return Sql(f"({texts[0]} {_COMPARISONS[sign]} {texts[1]})", "condition")

    def _read_sum(self) -> Sql:
        found = self._read_product()
        while sign := self._take("+", "-"):
            found = Sql(f"({found.value} {sign} {self._read_product().value})")
        return found

    def _read_product(self) -> Sql:
        found = self._read_sign()
        while sign := self._take("*", "/"):
            right = self._read_sign().value
            # In Looker, as in databases, a division by zero is null.
            right = f"nullif({right}, 0)" if sign == "/" else right
            found = Sql(f"({found.value} {sign} {right})")
        return found

    def _read_sign(self) -> Sql:
        negative = False
        while sign := self._take("-", "+"):
            negative ^= sign == "-"
        found = self._read_part()
        return Sql(f"(-{found.value})") if negative else found

    def _read_part(self) -> Sql:
        if self._take("("):
            found = self._read_or()
            self._expect(")")
            return found
        kind, text = self._peek()
        self._position += 1
        if kind == "field":
            return self._find_field(text[2:-1].strip())
        if kind == "number":
            return Sql(text)
        if kind == "text":
            return Sql(_quote(text[1:-1]))
        if kind != "word":
            raise self._error()
        if self._take("("):
            return self._read_call(text.lower())
        if text.lower() not in _WORDS:
            raise self._error()
        word = _WORDS[text.lower()]
        return Sql(word, "condition" if word != "null" else "value")

    def _read_call(self, name: str) -> Sql:
        if name == "matches_filter":
            return self._read_match()
        arguments: list[Sql] = []
        while not self._take(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._read_or())
        values = [argument.value for argument in arguments]
        count = len(arguments)
        if name == "if" and count == 3:  # noqa: PLR2004 - condition and two values
            return Sql(f"case when {arguments[0].condition} then {values[1]} else {values[2]} end")
        if name in _FUNCTIONS and _FUNCTIONS[name][0] <= count <= _FUNCTIONS[name][1]:
            return Sql(_FUNCTIONS[name][2].format(", ".join(values)))
        if name in _CONDITIONS and _CONDITIONS[name][0] == count:
            return Sql(_CONDITIONS[name][1].format(*values), "condition")
        if name in _OVER_ROWS and self._over_rows and count == (name != "row"):
            return Sql(_OVER_ROWS[name].format(*values))
        msg = f"The function {name} with {count} arguments is not simulated"
        raise ExpressionError(msg)

    def _read_match(self) -> Sql:
        kind, field = self._peek()
        self._position += 1
        self._expect(",")
        of_text, text = self._peek()
        self._position += 1
        self._expect(")")
        if (kind, of_text) != ("field", "text"):
            raise self._error()
        return Sql(f"({self._match(field[2:-1].strip(), text[1:-1])})", "condition")


def _quote(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))
