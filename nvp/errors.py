"""Errors of the numerics and the array files: one line that says expected, got and next step."""

from __future__ import annotations


class FieldError(Exception):
    """A field, file or configuration that cannot be used.

    `code` is stable and machine-readable; the command line exits with 2 on it.
    """

    exit_code = 2

    def __init__(self, code: str, message: str, *, next_step: str = "") -> None:
        super().__init__(f"{message} {next_step}".strip())
        self.code = code
        self.next_step = next_step
