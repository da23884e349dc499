"""The energy atlas: load and save energy maps by domain, sequence and step, with or without a graph.

    atlas = EnergyAtlasLoader("atlas", domain="fluid_dynamics")
    energy, metadata = atlas.load_map("fluid_dynamics", "run-1/0003")
    batch, metadata = atlas.load_batch(window=4, stride=3)          # (N, T, H, W), no window crosses a sequence

Without a graph the atlas is a folder (`nvp.atlas.folder`). With one, sequences that only the graph knows can be loaded
too (by their uid), and what is saved is recorded; a graph that does not answer costs one warning and nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Float32, Real, Shaped

from nvp.atlas.canonical import as_stored
from nvp.atlas.entropy import spatial_entropy
from nvp.atlas.errors import BadData, NotInAtlas
from nvp.atlas.folder import Folder, parse_map_id
from nvp.atlas.metadata import EnergyMapMetadata, Source
from nvp.atlas.port import AtlasGraph
from nvp.atlas.pyramids import coarse
from nvp.atlas.reader import check_values
from nvp.atlas.sequence import AtlasSequence, GraphSequence, Hdf5Sequence, open_sequence
from nvp.atlas.shapes import Scale, Shape, grid_of, validate_shape
from nvp.dynamics.domain import DomainSpec
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError

Format = Literal["npy", "hdf5"]
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

    def _sequence(self, spec: DomainSpec, name: str) -> AtlasSequence:
        """The sequence of this name: the folder's, else the graph's."""
        found = open_sequence(self.folder, spec.name, name, signed=spec.signed)
        if found is None and self._graph is not None:
            graph = self._graph
            frames = self._ask(lambda: tuple(graph.frames(name)))
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
        """Keep a map (H, W) or (H, W, 1) and its metadata under `<sequence>/<step>`, and return the id; the same again changes nothing.

        A map that is there is replaced. Statistics and hash are always those of the values; the rest comes from
        `metadata`, or from the domain and `source`. `format` is that of the sequence, by default npy.
        """
        spec = self._spec(domain)
        sequence, step = parse_map_id(map_id)
        stored = self._checked(np.asarray(energy_map), spec, map_id)
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
        self._save(stored[None], [known], format)
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
            [self._checked(np.asarray(e), spec, one.map_id) for e, one in zip(energy, metadata, strict=True)]
        )
        known = [one.measured(frame[..., 0]) for frame, one in zip(stored, metadata, strict=True)]
        self._save(stored, known, format)
        return [one.map_id for one in known]

    def _save(
        self, energy: Float32[np.ndarray, "t h w 1"], metadata: Sequence[EnergyMapMetadata], format: Format | None
    ) -> None:
        """Files, then sidecars, then the graph."""
        head = metadata[0]
        with self.folder.writing(head.domain, head.sequence):
            there = open_sequence(self.folder, head.domain, head.sequence, signed=True)
            kept: Format = "npy" if there is None else "hdf5" if isinstance(there, Hdf5Sequence) else "npy"
            if there is not None and format not in (None, kept):
                raise FieldError(
                    "OTHER_FORMAT",
                    f"expected sequence {head.sequence!r} to go on as {kept}, got {format}.",
                    next_step="Leave the format out, or choose another name for the sequence.",
                )
            others = [] if there is None else self._others(there, metadata)
            if there is not None and others and there.metadata(others[0]).shape != head.shape:
                raise BadData(
                    "BAD_SHAPE",
                    f"expected maps of {there.metadata(others[0]).shape} as in the rest of sequence {head.sequence!r}, "
                    f"got {head.shape}.",
                    next_step="Keep maps of one grid in one sequence.",
                )
            if (format or kept) == "npy":
                for frame, one in zip(energy, metadata, strict=True):
                    self.folder.write_npy(frame, one)
            else:
                self._rewrite(there, energy, metadata)
        if self._graph is not None:
            graph = self._graph
            self._ask(lambda: graph.record(energy, metadata))

    def _rewrite(
        self,
        there: AtlasSequence | None,
        energy: Float32[np.ndarray, "t h w 1"],
        metadata: Sequence[EnergyMapMetadata],
    ) -> None:
        """A whole HDF5 sequence with these frames in it; an HDF5 file cannot be changed in place and stay whole."""
        given = {one.step: (frame, one) for frame, one in zip(energy, metadata, strict=True)}
        frames = {}
        if there is not None:
            if all(_is_kept(there, one) for one in metadata):
                return
            # what is replaced need not be readable: saving again is how a damaged map is mended
            frames = {step: there.frame(step) for step in (int(there.steps[k]) for k in self._others(there, metadata))}
        merged = sorted((frames | given).items())
        self.folder.write_hdf5(np.stack([frame for _, (frame, _) in merged]), [one for _, (_, one) in merged])

    @staticmethod
    def _others(there: AtlasSequence, metadata: Sequence[EnergyMapMetadata]) -> list[int]:
        """Positions of the frames that are not among those given."""
        given = {one.step for one in metadata}
        return [k for k, step in enumerate(there.steps.tolist()) if step not in given]

    def _checked(
        self, energy: Shaped[np.ndarray, "..."], spec: DomainSpec, map_id: str
    ) -> Float32[np.ndarray, "h w 1"]:
        """The map as it is kept; refuses what is no field of this domain."""
        if energy.dtype.kind not in "fiu" or not self.validate_shape(energy):
            raise BadData(
                "BAD_SHAPE",
                f"expected numbers on a grid (H, W) of multiples of 8 for {map_id}, got {energy.dtype} {energy.shape}.",
                next_step="Crop or regrid it first.",
            )
        with np.errstate(over="ignore"):
            stored = as_stored(energy.reshape(*energy.shape[:2], 1))
        check_values(stored[None], map_id, None, signed=spec.signed)
        return stored

    # -- numbers ----------------------------------------------------------------------------------------------------

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

    def _ask(self, question: Callable[[], T]) -> T | None:
        """What the graph answers; the first time that it does not, one warning, and it is not asked again."""
        if self._graph is None:
            return None
        try:
            return question()
        except ConnectionError as error:
            self._graph = None
            warnings.warn(
                f"the graph does not answer ({error}); the atlas goes on with {self.folder.root}.",
                AtlasWarning,
                stacklevel=3,
            )
            return None


def _is_kept(there: AtlasSequence, one: EnergyMapMetadata) -> bool:
    """Whether this very map is there, whole."""
    try:
        return there.frame(one.step)[1] == one
    except (BadData, NotInAtlas):
        return False
