"""Reading The Well's HDF5: trajectories on axes (B, T, x, y) become series on axes (t, y, x).

A dataset lacks the axes along which it does not vary (`sample_varying`, `time_varying`, `dim_varying`); they are put
back here. Components of vectors and tensors follow the file's own order of dimensions and are brought into the order
x, y. The grid's lengths are the file's; a velocity is kept in cells per unit time, as everywhere in fieldgraph.

Reference: Ohana et al., The Well (NeurIPS 2024), data format, https://polymathic-ai.org/the_well/data_format/.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Float32

from nvp.atlas.formats.imported import Imported, Spacing, as_field, choose
from nvp.atlas.formats.note import KEY, TOTALS, Note, noted, parse_note
from nvp.atlas.time_axis import TimeAxis, from_times
from nvp.errors import FieldError

# what a file calls its axes where they are not x and y
_X_NAMES, _Y_NAMES = ("x", "phi", "lon", "longitude"), ("y", "theta", "lat", "latitude")
ORDERS = ("t0_fields", "t1_fields", "t2_fields")


def is_well(file: h5py.File) -> bool:
    """Whether an HDF5 file has The Well's layout."""
    return "n_trajectories" in file.attrs and "dimensions" in file and any(group in file for group in ORDERS)


def count(file: h5py.File, name: str) -> int:
    """How many trajectories it holds."""
    number = _whole_number(file.attrs["n_trajectories"])
    if number is None or number < 1:
        raise _refused(name, "n_trajectories as a number above 0", f"{file.attrs['n_trajectories']!r:.40}")
    return number


def open_well(file: h5py.File, name: str, default_dt: float, *, trajectory: int | None) -> _Well:
    """One trajectory of an open file; it must be said which where there are several."""
    number = count(file, name)
    chosen = 0 if trajectory is None and number == 1 else trajectory
    if chosen is None or not 0 <= chosen < number:
        raise FieldError(
            "NO_TRAJECTORY",
            f"expected one of the trajectories 0 … {number - 1} of {name}, got {trajectory}.",
            next_step="Give one by --trajectory.",
        )
    dims = strings(file["dimensions"].attrs.get("spatial_dims", []))
    if len(dims) != 2 or _whole_number(file.attrs.get("n_spatial_dims", 2)) != 2:
        raise _refused(
            name, "two spatial dimensions", f"{', '.join(dims) or 'none'}", "Cut a slice or take a mean along one."
        )
    return _Well(name, file, default_dt, chosen, number, dims)


def strings(value: Any) -> list[str]:
    """An attribute that is a list of names, or one name, in whatever HDF5 makes of text."""
    return [item.decode() if isinstance(item, bytes) else str(item) for item in np.atleast_1d(value).tolist()]


@dataclass(frozen=True, slots=True)
class _Field:
    """A dataset, or one component of it."""

    dataset: h5py.Dataset
    order: int
    # along the file's own dimensions; () for the whole
    component: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Well:
    file: str
    opened: h5py.File
    default_dt: float
    trajectory: int
    trajectories: int
    # names of the dimensions in the file's order
    dims: list[str]

    # -- as a source ------------------------------------------------------------------------------------------------

    def present(self) -> list[str]:
        return list(self._fields())

    def candidates(self) -> list[str]:
        note = self._note()
        # a vector or a tensor is no energy
        return [note.variable] if note is not None else [n for n, field in self._fields().items() if field.order == 0]

    def read(self, name: str) -> Imported:
        note = self._note()
        if note is not None and name == note.variable:
            return self._noted(note)
        time, spacing = self._time(), self._spacing()
        T = time.stretches[-1][1]
        context, parameters, totals = self._scalars(T)
        if "t1_fields/velocity" in self.opened and spacing is not None and name != "velocity":
            cells = 1 / np.array([spacing.dx, spacing.dy])
            context["velocity"] = as_field(self._values(self._fields()["velocity"], T) * cells)
        return Imported(
            file=self.file,
            variable=name,
            units="",
            values=self._values(self._fields()[name], T),
            time=time,
            spacing=spacing,
            simulated=note is not None and note.simulated,
            boundaries=self.boundaries(),
            context=context,
            parameters=parameters,
            source_total=totals.get("source_total"),
            outflow_total=totals.get("outflow_total"),
        )

    # -- fields -----------------------------------------------------------------------------------------------------

    def _fields(self) -> dict[str, _Field]:
        """By name: each field, and each component under The Well's own name for it, such as velocity_x and D_xy."""
        found: dict[str, _Field] = {}
        for order, group in enumerate(ORDERS):
            for name in strings(self.opened[group].attrs.get("field_names", [])) if group in self.opened else []:
                if not isinstance(dataset := self.opened[group].get(name), h5py.Dataset):
                    raise _refused(self.file, f"a dataset {group}/{name}, which field_names lists", "none")
                found[name] = _Field(dataset, order)
                for component in itertools.product(range(2), repeat=order) if order else ():
                    suffix = "".join(self.dims[i] for i in component)
                    found[f"{name}_{suffix}"] = _Field(dataset, order, component)
        return found

    def _values(self, field: _Field, T: int) -> Float32[np.ndarray, "t h w c"]:
        """The field in full: what was dropped along an axis is repeated, y before x, components in the order x, y."""
        values = self._whole(field, T)
        x = self._x_axis
        order = [0, 2 - x, 1 + x, *range(3, 3 + field.order)]
        values = values.transpose(order)
        if field.component:
            for index in reversed(field.component):
                values = values[..., index]
            return as_field(values)[..., None]
        for axis in range(3, 3 + field.order):
            values = np.take(values, [x, 1 - x], axis=axis)
        return as_field(values.reshape(*values.shape[:3], 2**field.order))

    def _whole(self, field: _Field, T: int) -> Float[np.ndarray, "..."]:
        """(T, first dimension, second dimension, *components) of this trajectory."""
        data, attrs = field.dataset, field.dataset.attrs
        varies = _flags(attrs.get("dim_varying", [True, True]))
        in_time = _flag(attrs, "time_varying", True)
        values = data[self.trajectory] if _flag(attrs, "sample_varying", True) else data[()]
        sizes = [self._coordinate(dim).size for dim in self.dims]
        full = (T, *sizes)
        used = (in_time, *varies)
        # the axes that are there: without the others, or with a length of 1 in their place
        dropped = [size for size, use in zip(full, used, strict=False) if use]
        kept = [size if use else 1 for size, use in zip(full, used, strict=False)]
        kept = kept if in_time else kept[1:]
        flat, square = [2**field.order] if field.order else [], [2] * field.order
        if len(varies) != 2 or list(values.shape) not in (
            [*axes, *tail] for axes in (dropped, kept) for tail in (flat, square)
        ):
            raise _refused(
                self.file,
                f"{data.name} of shape {(*dropped, *square)} for each trajectory",
                f"{values.shape}",
            )
        head = [size if use else 1 for size, use in zip(full, used, strict=True)]
        return np.broadcast_to(values.reshape(*head, *square), (*full, *square))

    # -- what lies beside them --------------------------------------------------------------------------------------

    def _scalars(
        self, T: int
    ) -> tuple[dict[str, Float32[np.ndarray, "t h w c"]], dict[str, float], dict[str, Float[np.ndarray, "t"]]]:
        """Scalars that vary in time become uniform fields (or totals, under their names), the others parameters."""
        context: dict[str, Float32[np.ndarray, "t h w c"]] = {}
        parameters: dict[str, float] = {}
        totals: dict[str, Float[np.ndarray, "t"]] = {}
        H, W = (self._coordinate(self.dims[axis]).size for axis in (1 - self._x_axis, self._x_axis))
        group = self.opened.get("scalars", {})
        for name in strings(group.attrs.get("field_names", [])) if group else []:
            if name not in group:
                raise _refused(self.file, f"a dataset scalars/{name}, which field_names lists", "none")
            data = group[name]
            sampled = _flag(data.attrs, "sample_varying", False)
            values = np.asarray(data[self.trajectory] if sampled else data[()], dtype=np.float64)
            if not _flag(data.attrs, "time_varying", False):
                if values.size != 1 or not np.isfinite(values).all():
                    raise _refused(self.file, f"scalar {name!r} as one finite number", f"{values.tolist()!r:.60}")
                parameters[name] = float(values.reshape(()))
            elif values.shape != (T,):
                raise _refused(self.file, f"scalar {name!r} with {T} values in time", f"shape {values.shape}")
            elif name in TOTALS:
                totals[name] = values
            else:
                context[name] = np.ascontiguousarray(
                    np.broadcast_to(as_field(values)[:, None, None, None], (T, H, W, 1))
                )
        return context, parameters, totals

    def boundaries(self) -> tuple[str, str]:
        """What holds at the edges along x and y: open unless said otherwise, "a/b" where the two edges differ."""
        sides = {dim: ["open", "open"] for dim in self.dims}
        for item in self.opened.get("boundary_conditions", {}).values():
            kind = "".join(strings(item.attrs.get("bc_type", ""))).lower()
            if kind not in ("periodic", "wall", "open"):
                raise _refused(self.file, "boundary conditions periodic, wall or open", f"{kind!r:.40}")
            dims = strings(item.attrs.get("associated_dims", []))
            mask = np.asarray(item["mask"][()] if "mask" in item else True, dtype=bool)
            for axis, dim in enumerate(dims):
                if dim not in sides or mask.ndim not in (0, len(dims)):
                    raise _refused(self.file, f"a boundary along {' or '.join(self.dims)}", f"{dim!r:.40}")
                for side, index in enumerate((0, -1)):
                    edge = np.take(mask, index, axis=axis) if mask.ndim else mask
                    # a wall must be one all along, anything else counts where it is at all
                    if edge.all() if kind == "wall" else edge.any():
                        sides[dim][side] = kind
        x, y = (sides[self.dims[axis]] for axis in (self._x_axis, 1 - self._x_axis))
        return "/".join(dict.fromkeys(x)), "/".join(dict.fromkeys(y))

    def _spacing(self) -> Spacing | None:
        """Distances between cells; on a sphere a velocity has no cells per unit time that hold everywhere."""
        steps = []
        for dim in self.dims:
            along = np.diff(self._coordinate(dim).astype(np.float64))
            if along.size == 0 or not np.allclose(along, along.mean(), rtol=1e-3, atol=0) or along.mean() == 0:
                raise _refused(self.file, f"uniform coordinates along {dim!r}", "others", "Regrid it first.")
            steps.append(float(along.mean()))
        cartesian = "".join(strings(self.opened.attrs.get("grid_type", "cartesian"))).lower() == "cartesian"
        return Spacing(steps[self._x_axis], steps[1 - self._x_axis]) if cartesian else None

    def _time(self) -> TimeAxis:
        data = self.opened["dimensions"].get("time")
        if not isinstance(data, h5py.Dataset):
            raise _refused(self.file, "a dataset dimensions/time", "none")
        times = data[self.trajectory] if _flag(data.attrs, "sample_varying", False) else data[()]
        if np.ndim(times) != 1 or np.size(times) == 0:
            raise _refused(self.file, "times on one axis", f"shape {np.shape(times)}")
        return from_times(np.asarray(times), dt=self.default_dt, file=self.file)

    def _coordinate(self, dim: str) -> Float[np.ndarray, "n"]:
        data = self.opened["dimensions"].get(dim)
        if not isinstance(data, h5py.Dataset) or _flag(data.attrs, "time_varying", False):
            raise _refused(self.file, f"coordinates dimensions/{dim} that do not change in time", "none")
        values = np.asarray(data[self.trajectory] if _flag(data.attrs, "sample_varying", False) else data[()])
        if values.ndim != 1 or values.dtype.kind not in "fiu":
            raise _refused(self.file, f"coordinates dimensions/{dim} on one axis", f"shape {values.shape}")
        return values.astype(np.float64)

    @property
    def _x_axis(self) -> int:
        """Which of the file's dimensions is x: by name, else the first, which The Well calls x."""
        lower = [dim.lower() for dim in self.dims]
        return 1 if lower[1] in _X_NAMES or lower[0] in _Y_NAMES else 0

    # -- what we wrote ----------------------------------------------------------------------------------------------

    def _note(self) -> Note | None:
        if KEY not in self.opened or "notes" not in self.opened[KEY]:
            return None
        notes = self.opened[KEY]["notes"]
        if notes.shape != (self.trajectories,):
            raise _refused(self.file, f"{self.trajectories} notes", f"shape {notes.shape}", "Export it again.")
        return parse_note(strings(notes[self.trajectory])[0], self.file)

    def _noted(self, note: Note) -> Imported:
        fields, group = self._fields(), self.opened[KEY]
        T = self.opened["dimensions"]["time"].shape[-1]

        def array(name: str) -> Float32[np.ndarray, "t h w c"]:
            return self._values(fields[choose(name, list(fields), self.file)], T)

        times = group["valid_time"][self.trajectory].astype("datetime64[ns]") if "valid_time" in group else None
        _, _, totals = self._scalars(T)
        found = noted(note, file=self.file, array=array, valid_time=times, totals=totals)
        return replace(found, boundaries=self.boundaries())


def _flag(attrs: Any, name: str, default: bool) -> bool:
    return bool(np.asarray(attrs.get(name, default)).all())


def _flags(value: Any) -> list[bool]:
    return [bool(item) for item in np.atleast_1d(value).tolist()]


def _whole_number(value: Any) -> int | None:
    try:
        number = float(np.asarray(value).reshape(()))
    except (TypeError, ValueError):
        return None
    return int(number) if math.isfinite(number) and number == int(number) else None


def _refused(file: str, expected: str, got: str, next_step: str = "Is it a file of The Well?") -> FieldError:
    return FieldError("BAD_WELL", f"expected {expected} in {file}, got {got}.", next_step=next_step)
