"""GraphQL over HTTP, WebSocket (graphql-transport-ws) and server-sent events, all on one path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL

from graph.errors import GraphError
from resolvers.graphql.api import schema
from resolvers.graphql.context import RequestContext
from resolvers.graphql.limits import MAX_BODY
from resolvers.web.access import bearer, viewer_of
from resolvers.web.pages import graphiql
from resolvers.web.problem import problem
from resolvers.web.tokens import Tokens
from resolvers.web.viewer import Role, Viewer


class View(GraphQL[RequestContext, None]):
    """The schema behind /graphql; GET by a browser shows GraphiQL."""

    def __init__(self) -> None:
        super().__init__(
            schema,
            graphql_ide="graphiql",
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL],
            max_subscriptions_per_connection=20,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket; a body beyond MAX_BODY is refused before it is read whole."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise _TooLarge
            return message

        try:
            await super().__call__(scope, counted, send)
        except _TooLarge:
            error = GraphError("TOO_LARGE", f"expected a GraphQL request of at most {MAX_BODY} bytes.")
            await problem(413, error)(scope, receive, send)

    def parse_json(self, data: str | bytes) -> Any:
        """What a request says; JSON that is no object (nor a batch, which is refused later) is no request."""
        said = super().parse_json(data)
        if not isinstance(said, dict | list):
            raise HTTPException(400, "Expected a JSON object with a `query`")
        return said

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> RequestContext:
        """What the resolvers get; a WebSocket may show its token later, in `connection_init`."""
        state = request.state
        return RequestContext(
            services=state.services,
            hub=state.hub,
            metrics=state.metrics,
            tokens=state.tokens,
            viewer=viewer_of(request, state.tokens),
        )

    async def on_ws_connect(self, context: RequestContext) -> Any:
        """Take the token of `connection_init`; refuse a WebSocket that has shown neither token nor cookie."""
        context.viewer = shown(context.connection_params, context.tokens) or context.viewer
        if context.viewer.refusal(Role.READER) is not None:
            raise ConnectionRejectionError
        return await super().on_ws_connect(context)

    async def render_graphql_ide(self, request: Request) -> Response:
        """GraphiQL from our own files."""
        return graphiql()

    def decode_json(self, data: str | bytes) -> object:
        """JSON as orjson reads it."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        """JSON as orjson writes it; text, as browsers' clients refuse the binary messages that bytes would become."""
        return orjson.dumps(data).decode()


def shown(parameters: Mapping[str, object], tokens: Tokens) -> Viewer | None:
    """The viewer of `{"Authorization": "Bearer …"}`; None where it has none."""
    header = next((value for name, value in parameters.items() if name.lower() == "authorization"), None)
    token = bearer(header if isinstance(header, str) else None)
    return Viewer(tokens.role(token)) if token else None


class _TooLarge(Exception):
    pass
