"""Renew `jars.lock` (for maintainers, after a new Neo4j): `python -m graph.embedded.lock`.

Resolves the three coordinates with jgo, downloads every jar and writes coordinate and sha256 of each.
"""

from __future__ import annotations

from graph.embedded.jars import LOCK_FILE, NEO4J_VERSION, sha256_of

ENDPOINT = (
    f"org.neo4j:neo4j:{NEO4J_VERSION}+org.neo4j.app:neo4j-server:{NEO4J_VERSION}+org.neo4j.client:neo4j-browser:5.24.0"
)
HEADER = f"# Neo4j Community {NEO4J_VERSION} with its Browser: Maven coordinate and sha256 of each jar.\n"


def render() -> str:
    """The text of the lock file: a header and one sorted line per jar."""
    import jgo

    artifacts = jgo.resolve(ENDPOINT)
    names = [artifact.filename for artifact in artifacts]
    if len(set(names)) != len(names):
        raise ValueError("expected file names that are unique across groups, since all jars lie in one directory")
    lines = []
    for artifact in artifacts:
        parts = [artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier]
        lines.append(f"{':'.join(filter(None, parts))} {sha256_of(artifact.resolve())}\n")
    return HEADER + "".join(sorted(lines))


if __name__ == "__main__":
    LOCK_FILE.write_text(render(), "utf-8")
