"""A proposer sees no names: modules in another order get the same first state, in that order."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from flax import nnx

from nvp.coordinator.coupling_graph import Coupling, CouplingGraph
from nvp.coordinator.proposer import Proposer, Trained, train_proposer
from nvp.coordinator.scenarios import random_graph
from nvp.errors import FieldError


def test_order_does_not_matter() -> None:
    with jax.enable_x64(True):
        proposer = Proposer(rngs=nnx.Rngs(3))
        noise = np.random.default_rng(0).normal(size=proposer.outer.kernel.shape)
        proposer.outer.kernel[...] = jax.numpy.asarray(noise)
        shape, parameters = nnx.split(proposer)
    trained = Trained(shape=shape, parameters=parameters, losses=())
    rng = np.random.default_rng(1)
    for count in (6,):
        graph = random_graph(count, "rugged", rng, per_module=3)
        eta, sure = trained.propose(graph)
        assert eta.shape == (count,)
        assert ((eta >= 0) & (eta <= 1)).all()
        np.testing.assert_allclose(sure, np.abs(2 * eta - 1))
        order = rng.permutation(count)
        place = np.argsort(order)
        turned = CouplingGraph(
            modules=[graph.modules[each] for each in order],
            couplings=[
                Coupling(each.kind, int(place[each.i]), int(place[each.j]), each.params, each.delta, each.term)
                for each in graph.couplings
            ],
            deltas=graph.deltas,
        )
        np.testing.assert_allclose(trained.propose(turned)[0], eta[order], atol=1e-12)


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(FieldError):
        train_proposer([])
