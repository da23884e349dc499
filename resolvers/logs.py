"""Logs on stderr: ours at the level that is set, those of libraries only where something is wrong."""

from __future__ import annotations

import logging
import sys

from graph.settings import Settings

OURS = ("__main__", "graph", "migrations", "nvp", "resolvers")


def log_to_stderr(settings: Settings) -> None:
    """Configure this process's logs; called once, by its entry point."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())
    # absl, below orbax, sets a level of its own
    logging.getLogger("absl").setLevel(logging.WARNING)
