"""Pictures as files: complete or not at all, and the same bytes for the same picture."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from nvp.atlas.temporary import temporary_name
from nvp.errors import FieldError

SUFFIXES = (".png", ".gif", ".mp4")
# figures, and what matplotlib would write into each beside the picture: its version, the time
FIGURES: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    ".svg": {"Creator": None, "Date": None},
}


def require_figure(path: Path) -> None:
    """Refuse a name that says no format of figures, before anything is drawn."""
    if path.suffix not in FIGURES:
        raise FieldError(
            "BAD_OPTIONS",
            f"expected a picture that ends in {', '.join(FIGURES)}, got {path.name!r}.",
            next_step="Name it figure.png.",
        )


def write_figure(path: Path, made: Figure, *, dpi: float | None = None) -> None:
    """Write a figure in the format that its name says."""
    require_figure(path)
    kind = path.suffix.removeprefix(".")
    with rc_context({"svg.hashsalt": "fieldgraph"}):
        place(
            path,
            lambda temporary: made.savefig(temporary, format=kind, dpi=dpi or "figure", metadata=FIGURES[path.suffix]),
        )


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
