"""Which code made a result: part of a model's identity and of what makes two runs the same run."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path


@cache
def code_version() -> str:
    """The distribution's version and a digest of the numerics' source, such as `0.1.0+nvp.3f2a9c81d0b4`.

    Only `nvp` counts: a new page of the API does not make another model of the same data. A user's own edit does.
    """
    root = Path(str(files("nvp")))
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{version('fieldgraph')}+nvp.{digest.hexdigest()[:12]}"
