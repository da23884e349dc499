"""The energy atlas: load and save energy maps by domain, sequence and step, with or without a graph.

    atlas = EnergyAtlasLoader("atlas", domain="fluid_dynamics")
    energy, metadata = atlas.load_map("fluid_dynamics", "run-1/0003")
    batch, metadata = atlas.load_batch(window=4, stride=3)          # (N, T, H, W), no window crosses a sequence

Without a graph the atlas is a folder (`nvp.atlas.maps.folder`). With one, sequences that only the graph knows can be
loaded too (by their uid), and what is saved is recorded; a graph that does not answer costs one warning, nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32, Float64, Real, Shaped

from nvp.atlas.entropy import spatial_entropy
from nvp.atlas.maps.cache import cached_level
from nvp.atlas.maps.errors import BadData, NotInAtlas
from nvp.atlas.maps.folder import Folder, parse_map_id
from nvp.atlas.maps.gradients import Geometry, gradient
from nvp.atlas.maps.metadata import EnergyMapMetadata, Source
from nvp.atlas.maps.overview import overview
from nvp.atlas.maps.port import AtlasGraph
from nvp.atlas.maps.pyramids import Kind, Level, coarse, level
from nvp.atlas.maps.saving import Format, as_kept, save
from nvp.atlas.maps.sequence import AtlasSequence, GraphSequence, open_sequence
from nvp.atlas.maps.shapes import Scale, Shape, grid_of, halves, validate_shape
from nvp.atlas.maps.windows import Windows, time_last
from nvp.dynamics.domain import DomainSpec
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError

T = TypeVar("T")


class AtlasWarning(UserWarning):
    """Something of the atlas cannot be had, and it goes on without it."""


class EnergyAtlasLoader:
    """Maps of one folder and, where there is a graph, of the graph; `domain` and `scale` are defaults for each call."""

    def __init__(
        self, root: Path | str, domain: str | None = None, scale: Scale | None = None, graph: AtlasGraph | None = None
    ) -> None:
        self.folder = Folder(Path(root))
        self.scale = scale
        self._graph = graph
        self._default = domain
        if domain is not None:
            self._spec(domain)

    # -- loading ----------------------------------------------------------------------------------------------------

    def load_map(
        self, domain: str | None, map_id: str, scale: Scale | None = None
    ) -> tuple[Float32[np.ndarray, "h w"], EnergyMapMetadata]:
        """One map by `<sequence>/<step>`, and its metadata; coarser by area means where `scale` asks for it.

        The metadata are those of the map as it is kept. Raises `NotInAtlas` for a domain or map that is not there,
        `BadScale` for a scale that it cannot have, `BadData` naming the file for anything wrong in it.
        """
        spec = self._spec(domain)
        sequence, step = parse_map_id(map_id)
        energy, metadata = self._sequence(spec, sequence).frame(step)
        return coarse(energy[None], self._grid(scale, metadata.shape))[0, ..., 0], metadata

    def load_batch(
        self,
        domain: str | None = None,
        window: int = 10,
        scale: Scale | None = None,
        stride: int | None = None,
    ) -> tuple[Float32[np.ndarray, "n t h w"], list[tuple[EnergyMapMetadata, ...]]]:
        """All windows of a domain at once, and the metadata of each window's frames.

        `stride` steps lie between the starts of two windows, by default as many as a window has. `windows` gives the
        same by number, for what does not fit into memory.
        """
        found = self.windows(domain, window, scale, stride)
        numbers = np.arange(len(found))
        return found.batch(numbers), [found.metadata(k) for k in numbers.tolist()]

    def load_energy_batch(
        self, domain: str | None = None, scale: Scale | None = None, window: int = 10
    ) -> tuple[Float32[np.ndarray, "n h w t"], dict[str, list[list[Any]]]]:
        """All windows of a domain, side by side, with time as the last axis (a view), and what labels each frame.

        Labels are lists (N, T) by name: `map_id`, `t`, `timestamps`, `entropy` and `regime`.
        """
        batch, metadata = self.load_batch(domain, window, scale)
        names = {"map_id": "map_id", "t": "t", "timestamps": "timestamp", "entropy": "entropy", "regime": "regime"}
        labels = {
            name: [[getattr(one, field) for one in frames] for frames in metadata] for name, field in names.items()
        }
        return time_last(batch), labels

    def windows(
        self,
        domain: str | None = None,
        window: int = 10,
        scale: Scale | None = None,
        stride: int | None = None,
    ) -> Windows:
        """The windows of `load_batch` by number; nothing is read yet."""
        found = self.sequences(domain)
        chosen = self.scale if scale is None else scale
        return Windows(found, length=window, stride=window if stride is None else stride, scale=chosen)

    def sequences(self, domain: str | None = None) -> list[AtlasSequence]:
        """All sequences of a domain: the folder's by name, then those that only the graph has by uid."""
        spec = self._spec(domain)
        names = self.folder.sequences(spec.name)
        opened = (open_sequence(self.folder, spec.name, name, signed=spec.signed) for name in names)
        found = [one for one in opened if one is not None]
        for known in self._ask(lambda graph: graph.sequences(spec.name)) or ():
            # what was recorded out of this folder is here already
            if known.uid not in names and not (known.recorded and known.source in names):
                frames = self._ask(lambda graph, uid=known.uid: tuple(graph.frames(uid)))  # type: ignore[misc]
                if frames:
                    found.append(GraphSequence(spec.name, known.uid, frames, signed=spec.signed))
        if not found:
            raise NotInAtlas(
                "NO_DATA",
                f"expected maps of {spec.name!r} in {self.folder.root}, found none.",
                next_step="Save some, or generate them.",
            )
        return found

    def get_domain_stats(self, domain: str | None = None) -> dict[str, Any]:
        """What a domain holds, out of its metadata (`overview`). Raises `NotInAtlas` where it holds nothing."""
        return overview(self.sequences(domain))

    def _sequence(self, spec: DomainSpec, name: str) -> AtlasSequence:
        """The sequence of this name: the folder's, else the graph's."""
        found = open_sequence(self.folder, spec.name, name, signed=spec.signed)
        if found is None:
            frames = self._ask(lambda graph: tuple(graph.frames(name)))
            if frames and frames[0].metadata.domain == spec.name:
                found = GraphSequence(spec.name, name, frames, signed=spec.signed)
        if found is not None:
            return found
        raise NotInAtlas(
            "UNKNOWN_MAP",
            f"expected a sequence of {spec.name!r} in {self.folder.root}, got {name!r}.",
            next_step=f"It has {', '.join(self.folder.sequences(spec.name)[:10]) or 'none'}.",
        )

    # -- saving -----------------------------------------------------------------------------------------------------

    def save_map(
        self,
        energy_map: Shaped[np.ndarray, "..."],
        domain: str | None,
        map_id: str,
        metadata: EnergyMapMetadata | None = None,
        *,
        source: Source = "real",
        format: Format | None = None,
    ) -> str:
        """Keep a map (H, W) or (H, W, 1) and its metadata under `<sequence>/<step>`, and return that id.

        The same again changes nothing, and a map that is there is replaced. Statistics and hash are always those of
        the values; the rest comes from `metadata`, or from the domain and `source`. `format` is that of the sequence,
        by default npy.
        """
        spec = self._spec(domain)
        sequence, step = parse_map_id(map_id)
        stored = as_kept(np.asarray(energy_map), map_id, signed=spec.signed)
        if metadata is None:
            known = EnergyMapMetadata.of(stored[..., 0], domain=spec.name, sequence=sequence, step=step, source=source)
        else:
            named = replace(metadata, domain=spec.name, sequence=sequence, step=step)
            if named != metadata:
                raise BadData(
                    "BAD_METADATA",
                    f"expected metadata of {spec.name}/{map_id}, got those of {metadata.domain}/{metadata.map_id}.",
                    next_step="Give the map's own.",
                )
            known = metadata.measured(stored[..., 0])
        save(self.folder, stored[None], [known], format=format)
        self._ask(lambda graph: graph.record(stored[None], [known]))
        return known.map_id

    def save_sequence(
        self,
        energy: Real[np.ndarray, "t h w"],
        metadata: Sequence[EnergyMapMetadata],
        *,
        format: Format | None = None,
    ) -> list[str]:
        """Keep the maps of one sequence at once, which is much faster than one by one; as `save_map`, and their ids."""
        if len(energy) != len(metadata) or len({(one.domain, one.sequence) for one in metadata}) != 1:
            raise BadData(
                "BAD_METADATA",
                f"expected the metadata of {len(energy)} maps of one sequence, got {len(metadata)}.",
                next_step="Give one per map.",
            )
        spec = self._spec(metadata[0].domain)
        stored = np.stack(
            [as_kept(frame, one.map_id, signed=spec.signed) for frame, one in zip(energy, metadata, strict=True)]
        )
        known = [one.measured(frame[..., 0]) for frame, one in zip(stored, metadata, strict=True)]
        save(self.folder, stored, known, format=format)
        self._ask(lambda graph: graph.record(stored, known))
        return [one.map_id for one in known]

    # -- numbers ----------------------------------------------------------------------------------------------------

    def precompute_pyramids(
        self,
        energy_map: Shaped[np.ndarray, "..."] | str,
        target_scales: Sequence[Scale] | None = None,
        *,
        kind: Kind = "area",
        domain: str | None = None,
    ) -> dict[Scale, Level]:
        """A map's levels by scale, each with its gradient, spacing and the defect of its resampling.

        `energy_map` is an array, or the id of a map: then its levels are kept beside the data and found there the next
        time, unless the map has changed. By default the map's own scale and its halves, down to 64.
        """
        known = domain or self._default
        spec = None if known is None else self._spec(known)
        if isinstance(energy_map, str):
            energy, metadata = self._sequence(self._spec(known), parse_map_id(energy_map)[0]).frame(
                parse_map_id(energy_map)[1]
            )
        else:
            energy, metadata = as_kept(energy_map, "this map", signed=spec is not None and spec.signed), None
        geometry, signed = Geometry() if spec is None else Geometry.of(spec), spec is not None and spec.signed
        shape = energy.shape[:2]
        levels: dict[Scale, Level] = {}
        for scale in halves(shape) if target_scales is None else target_scales:
            grid = grid_of(scale, shape)
            if metadata is None:
                levels[scale] = level(energy[..., 0], grid, geometry, kind=kind, signed=signed)
            else:
                spaced = replace(geometry, dx=metadata.dx, dy=metadata.dy)
                levels[scale] = cached_level(
                    self.folder, energy[..., 0], metadata, grid, spaced, kind=kind, signed=signed
                )
        return levels

    def compute_gradients(
        self, energy_map: Real[np.ndarray, "h w"], domain: str | None = None
    ) -> tuple[Float64[np.ndarray, "h w"], Float64[np.ndarray, "h w"]]:
        """∂E/∂x (along the last axis) and ∂E/∂y (along the first) with the domain's spacing and boundaries.

        Without a domain cells are 1 wide and the sides are open; `maps.gradients` tells the seeds' convention.
        """
        known = domain or self._default
        found = gradient(energy_map, Geometry() if known is None else Geometry.of(self._spec(known)))
        return found[..., 0], found[..., 1]

    def compute_entropy(self, energy_map: Real[np.ndarray, "h w"]) -> float:
        """Spatial entropy in nats; raises `BadData` for negative cells and for a map that holds nothing."""
        energy = np.asarray(energy_map, float)
        if not (np.isfinite(energy).all() and energy.min() >= 0 and energy.sum() > 0):
            raise BadData(
                "BAD_VALUE",
                f"expected finite cells of at least 0 and a total above 0, got minimum {energy.min()} and total "
                f"{energy.sum()}.",
                next_step="Entropy is defined for energies only.",
            )
        return float(spatial_entropy(energy[..., None]))

    def validate_shape(self, energy_map: Shaped[np.ndarray, "..."]) -> bool:
        """Whether the atlas keeps maps of this shape; `shapes.SEEDS` is the seeds' own list."""
        return validate_shape(energy_map.shape)

    # -- within -----------------------------------------------------------------------------------------------------

    def _spec(self, domain: str | None) -> DomainSpec:
        name = domain or self._default
        if name is None:
            raise NotInAtlas("NO_DOMAIN", "expected a domain, got none.", next_step="Give one here or to the loader.")
        try:
            return registered_domain(name)
        except FieldError as error:
            raise NotInAtlas(error.code, str(error)) from None

    def _grid(self, scale: Scale | None, shape: Shape) -> Shape:
        return grid_of(self.scale if scale is None else scale, shape)

    def _ask(self, question: Callable[[AtlasGraph], T]) -> T | None:
        """What the graph answers; the first time that it does not, one warning, and it is not asked again."""
        if self._graph is None:
            return None
        try:
            return question(self._graph)
        except ConnectionError as error:
            self._graph = None
            warnings.warn(
                f"the graph does not answer ({error}); the atlas goes on with {self.folder.root}.",
                AtlasWarning,
                stacklevel=3,
            )
            return None
