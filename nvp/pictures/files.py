"""Pictures as files: complete or not at all, and the same bytes for the same picture."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from nvp.atlas.temporary import temporary_name
from nvp.errors import FieldError

SUFFIXES = (".png", ".gif", ".mp4")


def write_png(path: Path, made: Figure, *, dpi: float | None = None) -> None:
    """Write a figure."""
    place(path, lambda temporary: made.savefig(temporary, format="png", dpi=dpi or "figure", metadata=_NOBODY))


def place(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a file beside `path`, then give it its name; raises `FieldError` where that cannot be done."""
    temporary = path.with_name(f".{temporary_name(path.suffix)}")
    try:
        write(temporary)
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise FieldError(
            "PICTURE_UNWRITABLE",
            f"cannot write {path}: {reason}.",
            next_step="Name a file by --out in a directory that you may write to.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


# matplotlib would name its version
_NOBODY: dict[str, str | None] = {"Software": None}
