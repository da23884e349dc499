"""`strawberry.field` and `subscription` with a description, as decorators that type checkers can see through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry

T = TypeVar("T")


def described(description: str) -> Callable[[Callable[..., T]], Any]:
    """Make a method a field of its type, with a description in the schema."""

    def decorate(resolver: Callable[..., T]) -> Any:
        return strawberry.field(resolver, description=description)

    return decorate


def watched(description: str) -> Callable[[Callable[..., T]], Any]:
    """Make an asynchronous generator a field of the subscription type."""

    def decorate(resolver: Callable[..., T]) -> Any:
        return strawberry.subscription(resolver, description=description)

    return decorate
