"""What one operation may cost, and who may send it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from time import perf_counter

from graphql import GraphQLError
from strawberry.extensions import MaxAliasesLimiter, ParserCache, QueryDepthLimiter, SchemaExtension
from strawberry.types.graphql import OperationType

from resolvers.web.viewer import Role

MAX_DEPTH = 12
MAX_TOKENS = 2000
MAX_ALIASES = 30
MAX_BODY = 1 << 20
"""Bytes of one GraphQL request."""
OPERATION_SECONDS = 30.0
CACHED_DOCUMENTS = 256

# made once: the validation cache knows a document by the rules it was held against, which must be the same objects
VALIDATION_RULES = [
    *QueryDepthLimiter(max_depth=MAX_DEPTH).validation_rules,
    *MaxAliasesLimiter(max_alias_count=MAX_ALIASES).validation_rules,
]


class ParseOnce(ParserCache):
    """Keeps parsed documents; one that cannot be parsed is left to the schema, which reports it on every transport."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query:
            with suppress(GraphQLError):
                context.graphql_document = self.cached_parse_document(context.query, **context.parse_options)
        yield


class Authorize(SchemaExtension):
    """Lets an operation through where its sender has the role: reader to read and watch, operator to change.

    It stands before execution and so covers every door: root fields, `node(id:)` and introspection.
    """

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        wanted = Role.OPERATOR if context.operation_type is OperationType.MUTATION else Role.READER
        refusal = context.context.viewer.refusal(wanted)
        if refusal is not None:
            error = GraphQLError(str(refusal), extensions={"code": refusal.code, "nextStep": refusal.next_step})
            context.pre_execution_errors = [error]
        yield


class FreshCatalog(SchemaExtension):
    """Gives each operation a catalog of its own: a WebSocket's operations would else share what was read."""

    def on_operation(self) -> Iterator[None]:
        self.execution_context.context.renew_catalog()
        yield


class TimeLimit(SchemaExtension):
    """Ends a query or mutation that takes too long; a subscription lives as long as it is watched."""

    async def on_execute(self) -> AsyncIterator[None]:
        if self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            yield
        else:
            async with asyncio.timeout(OPERATION_SECONDS):
                yield


class Measure(SchemaExtension):
    """Counts operations and their time by type and outcome."""

    def on_operation(self) -> Iterator[None]:
        started = perf_counter()
        yield
        context = self.execution_context
        try:
            kind = context.operation_type.value
        except RuntimeError:
            kind = "unknown"  # not even its type could be read
        failed = bool(context.pre_execution_errors)
        context.context.metrics.operation(kind, "error" if failed else "ok", perf_counter() - started)
