"""Domains: what is true of a kind of field, whoever supplies it.

A domain says whether energy can leave or enter, what the edges of the grid mean and which unit the numbers carry.
The registry is open: `register` adds a user's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nvp.errors import FieldError

Boundary = Literal["periodic", "wall", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSpec:
    """One kind of field; all lengths and times are in `units` of the domain."""

    name: str
    title: str
    # no energy crosses the boundary and no source acts: sum(E) is constant
    closed: bool
    # spatial entropy cannot fall: closed, Q = 0, div u = 0 and kappa >= 0
    second_law: bool
    boundary_x: Boundary
    boundary_y: Boundary
    # unit of the field
    units: str
    # grid spacing and time step that simulators use by default
    dx: float
    dy: float
    dt: float
    # source term Q in words or "none"
    source_model: str = "none"
    # the field may be negative: it is predicted by the delta head, and no energy law applies
    signed: bool = False
    # literature reference of the equations
    reference: str = ""


DOMAINS: dict[str, DomainSpec] = {}


def register(spec: DomainSpec) -> DomainSpec:
    """Add a domain to the registry; the same name twice must mean the same thing."""
    known = DOMAINS.setdefault(spec.name, spec)
    if known != spec:
        raise FieldError(
            "DOMAIN_CONFLICT",
            f"domain {spec.name!r} is already registered otherwise.",
            next_step="Choose another name.",
        )
    return spec


def domain(name: str) -> DomainSpec:
    """The domain of this name."""
    try:
        return DOMAINS[name]
    except KeyError:
        raise FieldError(
            "UNKNOWN_DOMAIN",
            f"expected a domain out of {', '.join(sorted(DOMAINS))}, got {name!r}.",
            next_step="Choose one of them or register your own.",
        ) from None


FLUID_DYNAMICS = register(
    DomainSpec(
        name="fluid_dynamics",
        title="Heat carried by decaying two-dimensional turbulence",
        closed=True,
        second_law=True,
        boundary_x="periodic",
        boundary_y="periodic",
        units="1",
        dx=1.0,
        dy=1.0,
        dt=2.1,
        reference="vorticity Navier-Stokes, Canuto et al., Spectral Methods in Fluid Dynamics (1988)",
    )
)

PLASMA_PHYSICS = register(
    DomainSpec(
        name="plasma_physics",
        title="Heat of a stirred plasma in a magnetic field",
        closed=False,
        second_law=False,
        boundary_x="periodic",
        boundary_y="periodic",
        units="1",
        dx=1.0,
        dy=1.0,
        dt=2.1,
        source_model="resistive and viscous heating, eta j^2 + nu omega^2 >= 0",
        reference="reduced magnetohydrodynamics, Strauss, Phys. Fluids 19, 134 (1976)",
    )
)

ACTIVE_MATTER = register(
    DomainSpec(
        name="active_matter",
        title="Heat of a dense suspension of swimmers",
        closed=False,
        second_law=False,
        boundary_x="periodic",
        boundary_y="periodic",
        units="1",
        dx=1.0,
        dy=1.0,
        dt=2.3,
        source_model="power of the swimmers less a loss in proportion, -alpha |v|^2 - gamma E",
        reference="Toner-Tu-Swift-Hohenberg, Wensink et al., PNAS 109, 14308 (2012)",
    )
)

ASTROPHYSICS = register(
    DomainSpec(
        name="astrophysics",
        title="Radiation energy in a stirred compressible gas",
        closed=True,
        # what converges piles up: div u != 0
        second_law=False,
        boundary_x="periodic",
        boundary_y="periodic",
        units="1",
        dx=1.0,
        dy=1.0,
        dt=1.8,
        reference="Levermore & Pomraning, ApJ 248, 321 (1981); Federrath et al., A&A 512, A81 (2010)",
    )
)

TURBULENT_RADIATIVE_LAYER = register(
    DomainSpec(
        name="turbulent_radiative_layer",
        title="Thermal energy of a cooling layer between hot and cold streams",
        closed=False,
        second_law=False,
        boundary_x="periodic",
        boundary_y="open",
        units="1",
        dx=1.0,
        dy=1.0,
        dt=2.1,
        source_model="cooling of mixed gas, -lambda(E) E <= 0",
        reference="Fielding et al., ApJL 894, L24 (2020)",
    )
)

SURFACE_TEMPERATURE = register(
    DomainSpec(
        name="surface_temperature",
        title="Air temperature near the ground",
        closed=False,
        second_law=False,
        boundary_x="open",
        boundary_y="open",
        units="K",
        dx=1.0,
        dy=1.0,
        dt=3600.0,
        source_model="unknown: radiation, advection and exchange with the ground",
        signed=True,
        reference="Hersbach et al., The ERA5 global reanalysis (2020)",
    )
)
