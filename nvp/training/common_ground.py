"""One network for several domains: it is told what all of them know, and nothing that one of them lacks.

A network's inputs are fixed, the domains' context fields and parameters differ. What is common to the domains to learn
from *and* the one that is left out stays, everything else is dropped: the source Q where one domain has none, the
parameters of one domain's own equations. In a domain whose Q is dropped the conserving head keeps a total that the
source changes, which is scored as the error it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from nvp.atlas.series import IRREDUCIBLE, Series
from nvp.dynamics.domain import DomainSpec, domain
from nvp.errors import FieldError
from nvp.model.config import config_for
from nvp.training.data import TrainingData


def teachers(left_out: DomainSpec, others: Sequence[DomainSpec]) -> list[DomainSpec]:
    """Those of `others` that can share a network for `left_out`.

    A network has one kind of edges and one kind of head: those of `left_out` where another domain has them, else the
    edges that most of the others have. Raises `FieldError` where nothing is left.
    """
    alike = [spec for spec in others if spec.signed == left_out.signed and spec != left_out]
    edges = Counter((spec.boundary_x, spec.boundary_y) for spec in alike)
    own = (left_out.boundary_x, left_out.boundary_y)
    wanted = own if own in edges else edges.most_common(1)[0][0] if edges else own
    found = [spec for spec in alike if (spec.boundary_x, spec.boundary_y) == wanted]
    if not found:
        raise FieldError(
            "NO_TEACHERS",
            f"expected other domains to learn from instead of {left_out.name}, got none of its kind.",
            next_step="Generate sequences of another domain on the same grid.",
        )
    return found


def on_common_ground(data: TrainingData, unseen: Series) -> TrainingData:
    """The same series, told only what all of them and `unseen`, of the domain that is left out, know."""
    every = [*data.train, *data.validation, unseen]
    fields = set.intersection(*({(name, of.shape[-1]) for name, of in one.context.items()} for one in every))
    numbers = set.intersection(*(set(one.parameters) for one in every)) - {IRREDUCIBLE}

    def told(one: Series) -> Series:
        return replace(
            one,
            context={name: one.context[name] for name, _ in sorted(fields)},
            parameters={name: one.parameters[name] for name in sorted(numbers)},
        )

    # the first one decides what the network looks out for: one whose flow squeezes, where there is one
    train = sorted(map(told, data.train), key=lambda one: not config_for(domain(one.domain), one).compressible)
    return TrainingData(train=train, validation=[told(one) for one in data.validation])
