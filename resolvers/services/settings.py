"""Settings by name: plain values, from a command line or from JSON, as the fields of a configuration.

A configuration says by its annotations what each setting is; what does not fit is refused with the name, what was
expected and what was given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from nvp.errors import FieldError
from nvp.training.config import TrainingConfig

T = TypeVar("T")

OWN_OPTIONS: Mapping[str, str] = {
    "size": "--model",
    "rng_seed": "--seed",
    "history": "--history",
    "epochs": "--epochs",
    "seconds": "--seconds",
}
"""Settings of a training that a request has fields for, and the options that give them."""


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """`["batch=16", "augment=false", "loss.mse=1"]` as plain values, those with dots nested; raises `FieldError`."""
    parsed: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not (name and equals and value.strip()):
            raise FieldError(
                "BAD_SETTING", f"expected NAME=VALUE, got {text!r}.", next_step="Write it without blanks, as batch=16."
            )
        *groups, last = name.split(".")
        place = parsed
        for group in groups:
            place = place.setdefault(group, {})
        if not isinstance(place, dict) or last in place:
            raise FieldError("BAD_SETTING", f"expected {name} once, got it twice.", next_step="Leave out one of them.")
        place[last] = _value(value.strip())
    return parsed


def fitted(configuration: type[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as the fields of `configuration` want them; raises `FieldError` for a name or value that is none."""
    hints = {field.name: get_type_hints(configuration)[field.name] for field in fields(configuration)}
    made = {}
    for name, value in settings.items():
        if name not in hints:
            near = get_close_matches(name, hints, n=1)
            raise FieldError(
                "BAD_SETTING",
                f"expected a setting out of {', '.join(sorted(hints))}, got {name!r}.",
                next_step=f"Did you mean {near[0]}?" if near else "Correct the name.",
            )
        try:
            made[name] = _fit(value, hints[name])
        except (TypeError, OverflowError):
            raise FieldError(
                "BAD_SETTING",
                f"expected {name} as {_said(hints[name])}, got {json.dumps(value, default=str)}.",
                next_step="Correct the value, or leave it out for the default.",
            ) from None
    return made


def training_settings(model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training beside those that a request has fields for, as they are, once checked.

    Raises `FieldError`.
    """
    if settings and model == "ridge":
        raise FieldError(
            "BAD_SETTING",
            f"expected no settings for ridge, which is solved and not trained, got {', '.join(sorted(settings))}.",
            next_step="Leave them out, or train a network (tiny, small, base).",
        )
    for name in sorted(OWN_OPTIONS.keys() & settings.keys()):
        raise FieldError(
            "BAD_SETTING", f"expected {name} by {OWN_OPTIONS[name]}, got it as a setting.", next_step="Use the option."
        )
    TrainingConfig(**fitted(TrainingConfig, settings))  # knows the ranges
    return dict(settings)


def _twice(name: str) -> FieldError:
    return FieldError("BAD_SETTING", f"expected {name} once, got it twice.", next_step="Leave out one of them.")


def _value(text: str) -> Any:
    """JSON where it is that, with `none` for null and 1,2,3 for a list; else the text."""
    if text.lower() in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return [_value(part) for part in text.split(",")] if "," in text and text[0] not in "[{" else text


def _fit(value: Any, hint: Any) -> Any:
    """The value as the type has it; raises TypeError where it is none of it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for one in arguments:
            try:
                return _fit(value, one)
            except TypeError:
                continue
        raise TypeError
    if origin is Literal:
        return _checked(value, value in arguments and type(value) in map(type, arguments))
    if origin is tuple:
        _checked(value, isinstance(value, list | tuple))
        wanted = [arguments[0]] * len(value) if arguments[-1:] == (...,) else list(arguments)
        _checked(value, len(wanted) == len(value))
        return tuple(_fit(item, one) for item, one in zip(value, wanted, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        _checked(value, isinstance(value, Mapping))
        return {_fit(name, arguments[0]): _fit(item, arguments[1]) for name, item in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        part: Any = hint
        return part(**fitted(part, _checked(value, isinstance(value, Mapping))))
    if hint in (None, NoneType):
        return _checked(value, value is None)
    if hint in (bool, str):
        return _checked(value, isinstance(value, hint))
    # to Python a truth value is a number
    _checked(value, not isinstance(value, bool))
    if hint is int:
        return int(_checked(value, isinstance(value, int) or (isinstance(value, float) and value.is_integer())))
    if hint is float:
        return float(_checked(value, isinstance(value, int | float) and math.isfinite(value)))
    return _checked(value, isinstance(value, hint))


def _checked(value: Any, fits: bool) -> Any:
    if not fits:
        raise TypeError
    return value


def _said(hint: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_said(one) for one in arguments)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return "a list of " + (_said(arguments[0]) if arguments else "values")
    if is_dataclass(hint):
        return f"settings of their own ({', '.join(field.name for field in fields(hint))})"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "none"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))
