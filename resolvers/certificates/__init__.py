"""Certificates: what a finished run took in, left, spent and broke, signed and chained, to be checked without a graph.

`canonical` (the bytes) → `statement` (what is said, and what refuses one) → `signing` (Ed25519, the file, its check) →
`issuing` (from the graph, into the graph, and whether the graph still agrees).
A certificate attests recorded accounting; it proves no physics.
"""
