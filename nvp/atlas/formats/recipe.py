"""Recipes: an energy formed from named variables, such as `kinetic = 0.5*(u**2 + v**2)`.

    recipe  = [ name "=" ] sum
    sum     = product { ("+" | "-") product }
    product = unary { ("*" | "/") unary }
    unary   = ("+" | "-") unary | power
    power   = atom [ "**" unary ]                 binds tighter than a sign before it, and to the right
    atom    = number | name | name "(" sum { "," sum } ")" | "(" sum ")"
    name    = letter or "_", then letters, digits, "_" and "." | "`" anything but a backtick "`"

Functions: sqrt abs exp log of one argument, min max of two or more. A recipe is parsed by this grammar and computed by
a walk over its tree: it is never handed to Python, and its length, depth and size are bounded. Numbers are float64,
so `9**9**9` is infinite at once, and what is not finite is refused.

Reference: precedence climbing, Richards & Whitby-Strevens, BCPL (1979).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nvp.errors import FieldError

MOST_CHARACTERS = 500
MOST_NODES = 200
MOST_DEPTH = 30

Values = Float[np.ndarray, "..."]

_OPERATORS: dict[str, Callable[..., Values]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
    "negative": np.negative,
}
_FUNCTIONS: dict[str, Callable[..., Values]] = {"sqrt": np.sqrt, "abs": np.abs, "exp": np.exp, "log": np.log}
_FOLDS: dict[str, Callable[..., Values]] = {"min": np.minimum, "max": np.maximum}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_.]*)"
    r"|`(?P<quoted>[^`\x00-\x1f]+)`|(?P<sign>\*\*|[-+*/(),=]))"
)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or a function of its arguments."""

    name: str
    arguments: tuple[Node, ...]


Node = Number | Name | Apply


@dataclass(frozen=True, slots=True)
class Recipe:
    """A parsed recipe; `str` gives its one spelling, which reads back as the same tree."""

    # what the result is called
    name: str
    node: Node

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that it names, in alphabetical order."""
        return tuple(sorted(_names(self.node)))

    def __str__(self) -> str:
        return f"{_quoted(self.name)} = {_text(self.node)}"

    def __call__(self, variables: Mapping[str, Values]) -> Values:
        """The result in float64; NaN and infinity are left for the checks, which name their cells."""
        with np.errstate(all="ignore"):
            return _evaluate(self.node, variables)


def parse_recipe(text: str, *, default_name: str = "energy") -> Recipe:
    """Parse a recipe; raises `FieldError` that says where it stops being one."""
    if len(text) > MOST_CHARACTERS:
        raise _refuse(text, f"at most {MOST_CHARACTERS} characters", f"{len(text)}")
    parser = _Parser(text)
    name = parser.heading() or default_name
    node = parser.sum(0)
    parser.end()
    if not _names(node):
        raise _refuse(text, "at least one variable", "none")
    return Recipe(name, node)


class _Parser:
    """Recursive descent over the tokens of a text; `depth` bounds the recursion."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None:
                place += len(text[place:]) - len(text[place:].lstrip())
                raise _refuse(text, "a number, a name or one of + - * / ** ( ) ,", _at(text, place))
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)], match.start(str(match.lastgroup))))
            place = match.end()
        self._next = 0
        self._nodes = 0

    def heading(self) -> str | None:
        """The name before "=", where there is one."""
        if len(self._tokens) >= 2 and self._tokens[0][0] in ("name", "quoted") and self._tokens[1][1] == "=":
            self._next = 2
            return self._tokens[0][1]
        return None

    def sum(self, depth: int) -> Node:
        node = self._product(depth)
        while sign := self._take("+", "-"):
            node = self._node(sign, node, self._product(depth))
        return node

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise self._unexpected("an operator or the end")

    def _product(self, depth: int) -> Node:
        node = self._unary(depth)
        while sign := self._take("*", "/"):
            node = self._node(sign, node, self._unary(depth))
        return node

    def _unary(self, depth: int) -> Node:
        if depth > MOST_DEPTH:
            raise _refuse(self._text, f"at most {MOST_DEPTH} levels of brackets, signs and powers", "more")
        if sign := self._take("+", "-"):
            inner = self._unary(depth + 1)
            return inner if sign == "+" else self._node("negative", inner)
        atom = self._atom(depth)
        if self._take("**"):
            return self._node("**", atom, self._unary(depth + 1))
        return atom

    def _atom(self, depth: int) -> Node:
        if self._take("("):
            node = self.sum(depth + 1)
            self._want(")")
            return node
        if self._next == len(self._tokens):
            raise self._unexpected("a number or a name")
        kind, text, place = self._tokens[self._next]
        if kind == "sign":
            raise self._unexpected("a number or a name")
        self._next += 1
        self._count()
        if kind == "number":
            value = float(text)
            if not np.isfinite(value):
                raise _refuse(self._text, "numbers that float64 holds", _at(self._text, place))
            return Number(value)
        if kind == "name" and self._take("("):
            return self._call(text, place, depth + 1)
        return Name(text)

    def _call(self, name: str, place: int, depth: int) -> Node:
        if name not in _FUNCTIONS and name not in _FOLDS:
            known = ", ".join([*_FUNCTIONS, *_FOLDS])
            raise _refuse(self._text, f"a function out of {known}", _at(self._text, place))
        arguments = [self.sum(depth)]
        while self._take(","):
            arguments.append(self.sum(depth))
        self._want(")")
        if (len(arguments) == 1) != (name in _FUNCTIONS):
            wanted = "one argument" if name in _FUNCTIONS else "two or more arguments"
            raise _refuse(self._text, f"{wanted} of {name}", f"{len(arguments)}")
        return Apply(name, tuple(arguments))

    def _node(self, operator: str, *arguments: Node) -> Node:
        self._count()
        return Apply(operator, arguments)

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _refuse(self._text, f"at most {MOST_NODES} numbers, names and operators", "more")

    def _take(self, *signs: str) -> str | None:
        if self._next < len(self._tokens):
            kind, text, _ = self._tokens[self._next]
            if kind == "sign" and text in signs:
                self._next += 1
                return text
        return None

    def _want(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unexpected(f"{sign!r}")

    def _unexpected(self, expected: str) -> FieldError:
        place = self._tokens[self._next][2] if self._next < len(self._tokens) else len(self._text)
        return _refuse(self._text, expected, _at(self._text, place))


def _evaluate(node: Node, variables: Mapping[str, Values]) -> Values:
    match node:
        case Number(value):
            return np.asarray(value)
        case Name(name):
            return np.asarray(variables[name], dtype=np.float64)
        case Apply(name, arguments):
            values = [_evaluate(argument, variables) for argument in arguments]
            if name in _FOLDS:
                result = values[0]
                for other in values[1:]:
                    result = _FOLDS[name](result, other)
                return result
            return np.asarray((_OPERATORS | _FUNCTIONS)[name](*values))


def _names(node: Node) -> set[str]:
    match node:
        case Name(name):
            return {name}
        case Apply(_, arguments):
            return set().union(*map(_names, arguments))
    return set()


def _text(node: Node) -> str:
    """Fully bracketed, so that it reads back as the same tree."""
    match node:
        case Number(value):
            return repr(value)
        case Name(name):
            return _quoted(name)
        case Apply("negative", (inner,)):
            return f"(-{_text(inner)})"
        case Apply(name, (left, right)) if name in _OPERATORS:
            return f"({_text(left)} {name} {_text(right)})"
        case Apply(name, arguments):
            return f"{name}({', '.join(map(_text, arguments))})"


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else f"`{name}`"


def _at(text: str, place: int) -> str:
    rest = " ".join(text[place : place + 20].split())
    return f"{rest!r} at character {place + 1}" if rest else "the end"


def _refuse(text: str, expected: str, got: str) -> FieldError:
    shown = " ".join(text.split())
    return FieldError(
        "BAD_RECIPE",
        f"expected {expected} in the recipe {shown[:60]!r}{'…' if len(shown) > 60 else ''}, got {got}.",
        next_step='Write it like "kinetic = 0.5*(u**2 + v**2)".',
    )
