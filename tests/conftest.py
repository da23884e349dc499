"""One real Neo4j for the whole session, emptied between tests that use it; strict JAX everywhere."""
