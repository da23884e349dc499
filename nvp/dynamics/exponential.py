"""Time stepping of flows whose stiff part is linear: ∂v/∂t = L v + N(v), in Fourier space, on any rectangle.

Exponential time differencing takes L exactly and N by Runge–Kutta. The schemes are exponax's; its steppers are squares,
so that ours give it their own operators.

References: Cox & Matthews, J. Comput. Phys. 176, 430 (2002); Kassam & Trefethen, SIAM J. Sci. Comput. 26, 1214 (2005).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import exponax as ex
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from nvp.dynamics.spectral import spectral, wavenumbers

Coefficients = Complex[Array, "channels h w_half"]
SCHEMES = {2: ex.etdrk.ETDRK2, 4: ex.etdrk.ETDRK4}


@spectral
def integrator(
    linear: Float[Array, "channels h w_half"],
    nonlinear: Callable[[Coefficients], Coefficients],
    *,
    step: float | Float[Array, ""],
    order: Literal[2, 4] = 4,
) -> Callable[[Coefficients], Coefficients]:
    """What advances the coefficients (`rfft2` of each channel) by `step`; the error falls as step^order.

    `linear` is L per wave number and `nonlinear` N, which takes care of its own aliases (`resolved`).
    """
    scheme = SCHEMES[order](step, linear.astype(jnp.result_type(linear, jnp.complex64)), spectral(nonlinear))
    return spectral(scheme.step_fourier)


def resolved(h: int, w: int) -> Bool[Array, "h w_half"]:
    """The wave numbers that products of two fields leave without aliases: below 2/3 of the highest (Orszag, 1971)."""
    ky, kx = wavenumbers(h, w)
    limit = 2 * jnp.pi / 3
    return (jnp.abs(ky) < limit) & (kx < limit)
