"""An experiment: eight stages, each a node of the graph, from a hypothesis to a verdict. No JAX.

    spawn → compose → plan → schedule → execute → verify → report → retire
              ↑________________________________________│  (the next round)

It computes nothing itself: what takes time is a run of its own, part of this one.
"""
