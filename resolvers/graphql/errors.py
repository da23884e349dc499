"""Failures as a client sees them: expected ones as union members, all others with a stable `extensions.code`.

ours (GraphError, FieldError)      their own code and message; an Outage is OUTAGE
a bad document or variables        BAD_REQUEST
too slow                           TIMEOUT
anything else                      INTERNAL: logged here in full, told as a reference number only
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import strawberry
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import MaskErrors
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.field import StrawberryField

from graph.errors import Conflict, GraphError, NotFound, Outage
from nvp.errors import FieldError
from resolvers.ace.grammar import Unclear
from resolvers.graphql.limits import OPERATION_SECONDS
from schema import results
from schema.ace import Question

log = logging.getLogger(__name__)


# of requests that are no operation; strawberry answers them by status 400
HTTP_REFUSALS = (MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError)


class StableErrors(MaskErrors):
    """Gives every error its code and hides what only we should see."""

    def on_operation(self) -> Iterator[None]:
        """Also what ends the whole operation, such as its time limit, leaves with a code."""
        try:
            yield from super().on_operation()
        except HTTP_REFUSALS:
            raise
        except Exception as error:
            raise self.anonymise_error(GraphQLError(str(error), original_error=error)) from error

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """The error as it leaves the server."""
        message, extensions = _told(error)
        return GraphQLError(
            message,
            nodes=error.nodes,
            source=error.source,
            positions=error.positions,
            path=error.path,
            extensions=extensions,
        )


def _told(error: GraphQLError) -> tuple[str, dict[str, Any]]:
    match cause := error.original_error:
        case Outage():
            return str(cause), {"code": "OUTAGE", "cause": cause.code, "nextStep": cause.next_step}
        case GraphError() | FieldError():
            return str(cause), {"code": cause.code, "nextStep": cause.next_step}
        case TimeoutError():
            text = f"expected an answer within {OPERATION_SECONDS:g} s. Ask for less at a time."
            return text, {"code": "TIMEOUT"}
        case None | GraphQLError():
            return error.message, {"code": "BAD_REQUEST", **(error.extensions or {})}
        case _:
            reference = uuid4().hex[:12]
            log.error("internal error %s", reference, exc_info=cause)
            return f"internal error {reference}; the server's log has the details.", {"code": "INTERNAL"}


class MissingNode(strawberry.ExceptionHandler[NotFound, results.NotFound]):
    """NotFound as a union member."""

    def handle(self, exception: NotFound, *, field: StrawberryField, info: Any) -> results.NotFound:
        return results.NotFound(
            code=exception.code,
            message=str(exception),
            next_step=exception.next_step,
            label=exception.label,
            uid=strawberry.ID(exception.uid),
        )


class Conflicting(strawberry.ExceptionHandler[Conflict, results.Conflict]):
    """Conflict as a union member."""

    def handle(self, exception: Conflict, *, field: StrawberryField, info: Any) -> results.Conflict:
        return results.Conflict(code=exception.code, message=str(exception), next_step=exception.next_step)


class AskedBack(strawberry.ExceptionHandler[Unclear, Question]):
    """A sentence that leaves something open, as the question to whoever said it."""

    def handle(self, exception: Unclear, *, field: StrawberryField, info: Any) -> Question:
        return Question(question=exception.question, options=list(exception.options), message=str(exception))


class BadInput(strawberry.ExceptionHandler[GraphError | FieldError, results.InvalidInput]):
    """What the user can correct as a union member; an outage is none of his doing and stays an error."""

    def handle(
        self, exception: GraphError | FieldError, *, field: StrawberryField, info: Any
    ) -> results.InvalidInput | None:
        if isinstance(exception, Outage):
            return None
        return results.InvalidInput(code=exception.code, message=str(exception), next_step=exception.next_step)
