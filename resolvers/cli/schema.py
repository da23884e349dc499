"""`fieldgraph schema`: the GraphQL schema as text."""

from __future__ import annotations

from resolvers.cli.output import JsonOption, emit


def command(as_json: JsonOption = False) -> None:
    """Print the GraphQL schema (SDL).

    Example: fieldgraph schema > schema/schema.graphql
    """
    # the API is imported when asked for: `fieldgraph --help` answers at once
    from resolvers.graphql.api import schema

    sdl = schema.as_str()
    if as_json:
        emit({"schema": sdl}, as_json=True)
    else:
        print(sdl)  # as it is: a console would wrap its lines
