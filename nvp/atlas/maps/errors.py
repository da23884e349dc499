"""What the atlas refuses, by kind: each is a `FieldError` and also what Python programmers would catch."""

from __future__ import annotations

from nvp.errors import FieldError


class NotInAtlas(FieldError, KeyError):
    """No domain, sequence or map of this name."""

    # KeyError would print the message as a quoted literal
    __str__ = Exception.__str__


class BadScale(FieldError, ValueError):
    """A grid that the field cannot be brought to."""


class BadData(FieldError, ValueError):
    """A file or an array that is no field: damaged, cut off, NaN, negative, of another shape or content."""
