"""The schema with its root fields, limits and errors; `schema/schema.graphql` is what it prints."""

from __future__ import annotations

import strawberry
from graphql import GraphQLError
from strawberry.extensions import AddValidationRules, MaxTokensLimiter, ValidationCache
from strawberry.types import ExecutionContext

from resolvers.graphql.errors import AskedBack, BadInput, Conflicting, MissingNode, StableErrors
from resolvers.graphql.limits import (
    CACHED_DOCUMENTS,
    MAX_TOKENS,
    VALIDATION_RULES,
    Authorize,
    FreshCatalog,
    Measure,
    ParseOnce,
    TimeLimit,
)
from resolvers.graphql.mutations import Mutation
from resolvers.graphql.queries import Query
from resolvers.graphql.subscriptions import Subscription
from schema.runs import RUN_TYPES


class Schema(strawberry.Schema):
    """A schema that leaves logging to `StableErrors`, which knows what is worth it."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log nothing here."""


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=list(RUN_TYPES.values()),
    exception_handlers=[MissingNode(), Conflicting(), AskedBack(), BadInput()],
    extensions=[
        Measure,
        StableErrors,
        FreshCatalog,
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        lambda: AddValidationRules(VALIDATION_RULES),
        lambda: ParseOnce(maxsize=CACHED_DOCUMENTS),
        lambda: ValidationCache(maxsize=CACHED_DOCUMENTS),
        Authorize,
        TimeLimit,
    ],
)
