"""What every command shares: JSON on stdout, people's text on stderr, errors in one line with their exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Mapping
from typing import Annotated, Any, NoReturn, TypeVar

import orjson
import typer
from rich.console import Console

from graph.errors import GraphError
from nvp.errors import FieldError

T = TypeVar("T")

# people read stderr, machines read stdout
console = Console(stderr=True, highlight=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; an error that the user can act on becomes one line and an exit code."""
    try:
        return asyncio.run(work)
    except (GraphError, FieldError) as error:
        fail(error)
    except UnicodeEncodeError as error:  # of an argument: what is read from files and the graph is text
        got = ascii(error.object)
        fail(GraphError("BAD_TEXT", f"expected text in UTF-8, got {got}.", next_step="Correct the argument."))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def fail(error: GraphError | FieldError) -> NoReturn:
    """Print the error in one line and leave with its exit code."""
    console.print(f"error: {error}", style="red", soft_wrap=True, markup=False)
    raise typer.Exit(error.exit_code) from None


def emit(result: Mapping[str, Any], *, as_json: bool, text: str | None = None) -> None:
    """Print `result` as JSON on stdout, or `text` (default: its entries, a line each) for people."""
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        sys.stdout.flush()
    else:
        Console(highlight=False).print(
            text or "\n".join(f"{key}: {value}" for key, value in result.items()), markup=False, soft_wrap=True
        )
