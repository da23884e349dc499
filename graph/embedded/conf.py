"""The embedded server's files and its configuration, rendered anew at each start from the settings.

Reference: Neo4j Operations Manual, "Configuration settings".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graph.settings import Settings

HOST = "127.0.0.1"

TEMPLATE = """\
# Written by fieldgraph at each start; change the FIELDGRAPH_* settings instead.
server.default_listen_address={host}
server.bolt.listen_address={host}:{bolt_port}
server.bolt.advertised_address={host}:{bolt_port}
server.http.listen_address={host}:{http_port}
server.http.advertised_address={host}:{http_port}
server.https.enabled=false
server.memory.pagecache.size={page_cache}
dbms.security.auth_enabled=true
dbms.usage_report.enabled=false
client.allow_telemetry=false
server.fleet_discovery.enabled=false
server.http.x_forward.enabled=false
# a quiet period of 0.1 s for each connector instead of 5 s: stopping takes one second, not eleven
internal.dbms.bolt.netty_server_shutdown_quiet_period_duration=100ms
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the embedded server keeps what; `root` belongs to it alone."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> Layout:
        return cls((settings.home / "neo4j").absolute())

    @property
    def conf(self) -> Path:
        return self.root / "conf"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        """Neo4j's own log."""
        return self.root / "logs/neo4j.log"

    @property
    def console(self) -> Path:
        """What the Java machine prints, which says why it did not start."""
        return self.root / "logs/console.log"

    @property
    def password(self) -> Path:
        """Readable by its owner only."""
        return self.root / "password"

    @property
    def state(self) -> Path:
        """Process and ports of the running server."""
        return self.root / "server.json"

    @property
    def lock(self) -> Path:
        """Held while the server is started or stopped."""
        return self.root / "server.lock"


def render(settings: Settings) -> str:
    """The text of neo4j.conf: loopback only, authenticated, telling nobody of its use."""
    return TEMPLATE.format(
        host=HOST,
        bolt_port=settings.bolt_port,
        http_port=settings.http_port,
        page_cache=settings.neo4j_page_cache,
    )


def write(settings: Settings, layout: Layout) -> None:
    """Make the directories that Neo4j expects and write its configuration."""
    for directory in (layout.conf, layout.data, layout.log.parent, layout.root / "import", layout.root / "run"):
        directory.mkdir(parents=True, exist_ok=True)
    layout.root.chmod(0o700)
    (layout.conf / "neo4j.conf").write_text(render(settings), "utf-8")
