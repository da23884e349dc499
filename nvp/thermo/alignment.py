"""Alignment: whether a prediction's slopes point where the truth's do, whatever their size.

Flattened definition: the gradients of all cells and channels of a field are one long vector, and the cosine is between
two such vectors,

    cos(P, T) = Σ ∇P·∇T / (‖∇P‖ ‖∇T‖),

so that steep places count more; it is not the mean of the cells' own cosines. Fields hardly turn in one step, hence
persistence scores near 1. The cosine of the *change*, ∇(P − O) against ∇(T − O), gives nothing for what stays: it has
no value for a prediction of no change. Gradients are `nvp.atlas.maps.gradients`, with the boundaries of the domain.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from nvp.atlas.maps.gradients import Geometry, gradient
from nvp.dynamics.domain import DomainSpec


def gradient_cosine(
    predicted: Float[np.ndarray, "n h w c"], truth: Float[np.ndarray, "n h w c"], spec: DomainSpec
) -> Float64[np.ndarray, "n"]:
    """cos(P, T) of each pair; NaN where one of the fields is uniform."""
    return cosine(slopes(predicted, spec), slopes(truth, spec))


def change_gradient_cosine(
    predicted: Float[np.ndarray, "n h w c"],
    truth: Float[np.ndarray, "n h w c"],
    origin: Float[np.ndarray, "n h w c"],
    spec: DomainSpec,
) -> Float64[np.ndarray, "n"]:
    """cos(P − O, T − O) of each pair; NaN where one of the changes is uniform, as persistence's is."""
    before = slopes(origin, spec)
    return cosine(slopes(predicted, spec) - before, slopes(truth, spec) - before)


def slopes(fields: Float[np.ndarray, "n h w c"], spec: DomainSpec) -> Float64[np.ndarray, "n d"]:
    """The gradient of each field as one vector."""
    channels = np.moveaxis(fields, -1, 1)
    found: Float64[np.ndarray, "n d"] = gradient(channels, Geometry.of(spec)).reshape(len(fields), -1)
    return found


def cosine(one: Float64[np.ndarray, "n d"], other: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n"]:
    """Of the angle between the vectors of each pair; NaN where one of them is 0."""
    product = np.sqrt(np.vecdot(one, one) * np.vecdot(other, other))
    aligned: Float64[np.ndarray, "n"] = np.vecdot(one, other) / np.where(product == 0, np.nan, product)
    return aligned
