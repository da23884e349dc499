"""Leaks: what stands in two roles of a split, so that a score would be of something that was learnt.

    overlap        stretches of one sequence share frames
    gap            stretches of one sequence lie closer than the split's gap
    equal_frames   a frame of one role is, to the bit, a frame of another, be it under another sequence's name
    same_draw      sequences were drawn from one root and number (initial state, base map), whatever their settings

`create_split` refuses the first two; a split may still get them from elsewhere, and the last two from its data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, LiteralString

from graph.gateway import Gateway

Kind = Literal["overlap", "gap", "equal_frames", "same_draw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One thing in two roles."""

    kind: Kind
    # in order of name
    roles: tuple[str, str]
    # of the sequences in question, in the order of the roles; twice the same where there is one
    sequences: tuple[str, str]
    # frames in question: the first of each role, in the order of the roles; t_index
    t_index: tuple[int, int]
    # sha256 of equal frames, name of the draw, else ""
    what: str

    def __str__(self) -> str:
        """One line for people."""
        (a, b), (s, o), (t, u) = self.roles, self.sequences, self.t_index
        match self.kind:
            case "overlap":
                return f"{a} and {b} share frames of sequence {s} from t_index {max(t, u)}"
            case "gap":
                return f"{a} and {b} of sequence {s} lie closer than the split's gap (t_index {t} and {u})"
            case "equal_frames":
                return f"frame {t} of sequence {s} ({a}) equals frame {u} of sequence {o} ({b})"
        return f"sequences {s} ({a}) and {o} ({b}) were drawn from one root: {self.what}"


async def leaks(gateway: Gateway, split: str, *, limit: int = 100) -> list[Leak]:
    """What leaks between the roles of this split, up to `limit` of each kind; [] for a clean one, or none."""
    found = []
    for kind, query in QUERIES.items():
        for row in await gateway.read(query, split=split, limit=limit):
            pairs = {name: tuple(row[name]) for name in ("roles", "sequences", "t_index")}
            found.append(Leak(kind=row.get("kind", kind), what=row["what"], **pairs))
    return found


_STRETCHES: LiteralString = """
MATCH (p:Split {uid: $split})-[a:HAS_PART]->(s:Sequence)
MATCH (p)-[b:HAS_PART]->(s)
WHERE a.role < b.role AND b.first - a.last - 1 < p.gap AND a.first - b.last - 1 < p.gap
  OR a.role < b.role AND a.first <= b.last AND b.first <= a.last
RETURN CASE WHEN a.first <= b.last AND b.first <= a.last THEN 'overlap' ELSE 'gap' END AS kind,
       [a.role, b.role] AS roles, [s.uid, s.uid] AS sequences, [a.first, b.first] AS t_index, '' AS what
ORDER BY s.uid, a.first LIMIT $limit
"""

# each hash of one role is looked up once: the subqueries keep the planner from pairing all frames with all
_EQUAL_FRAMES: LiteralString = """
MATCH (p:Split {uid: $split})-[a:HAS_PART]->(s:Sequence)
CALL (s, a) {
  MATCH (e:EnergySnapshot) WHERE e.sequence = s.uid AND e.t_index >= a.first AND e.t_index <= a.last
  RETURN e.sha256 AS sha256, min(e.t_index) AS t
}
CALL (sha256) {
  MATCH (f:EnergySnapshot {sha256: sha256})
  RETURN f
}
MATCH (p)-[b:HAS_PART]->(other:Sequence)
WHERE other.uid = f.sequence AND a.role < b.role AND f.t_index >= b.first AND f.t_index <= b.last
WITH sha256, a.role AS role, s.uid AS sequence, t, b.role AS other_role, other.uid AS other, min(f.t_index) AS u
RETURN [role, other_role] AS roles, [sequence, other] AS sequences, [t, u] AS t_index, sha256 AS what
LIMIT $limit
"""

_SAME_DRAW: LiteralString = """
MATCH (p:Split {uid: $split})-[a:HAS_PART]->(s:Sequence) WHERE s.draw IS NOT NULL
WITH s.draw AS draw, collect(DISTINCT {role: a.role, sequence: s.uid, first: a.first}) AS held
WHERE size(held) > 1
UNWIND held AS x
UNWIND held AS y
WITH draw, x, y WHERE x.role < y.role AND x.sequence <> y.sequence
RETURN [x.role, y.role] AS roles, [x.sequence, y.sequence] AS sequences, [x.first, y.first] AS t_index, draw AS what
LIMIT $limit
"""

QUERIES: dict[Kind, LiteralString] = {
    "overlap": _STRETCHES,
    "equal_frames": _EQUAL_FRAMES,
    "same_draw": _SAME_DRAW,
}
"""By kind; that of `overlap` finds those of `gap` too. Each can be pasted into Neo4j Browser."""
