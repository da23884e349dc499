"""Settings: where Neo4j is, where files lie and how patient workers are.

Read from `FIELDGRAPH_*` variables and `.env`; Neo4j's own names (`NEO4J_URI`, `NEO4J_USERNAME`, `NEO4J_PASSWORD`,
`NEO4J_DATABASE`) are taken as they are. Secrets are never logged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All settings; each has a default that works on a fresh machine."""

    model_config = SettingsConfigDict(env_prefix="FIELDGRAPH_", env_file=".env", extra="ignore", frozen=True)

    # files: everything fieldgraph keeps, what it can fetch again, and the array store shared by all workers
    home: Path = Path.home() / ".local/share/fieldgraph"
    cache: Path = Path.home() / ".cache/fieldgraph"
    store: Path = Field(default_factory=lambda data: data["home"] / "store")

    # Neo4j: a server of yours, or (no URI) the embedded one
    neo4j_uri: str | None = Field(default=None, validation_alias=AliasChoices("NEO4J_URI", "FIELDGRAPH_NEO4J_URI"))
    neo4j_username: str = Field(
        default="neo4j", validation_alias=AliasChoices("NEO4J_USERNAME", "FIELDGRAPH_NEO4J_USERNAME")
    )
    neo4j_password: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("NEO4J_PASSWORD", "FIELDGRAPH_NEO4J_PASSWORD")
    )
    neo4j_database: str = Field(
        default="neo4j", validation_alias=AliasChoices("NEO4J_DATABASE", "FIELDGRAPH_NEO4J_DATABASE")
    )

    # the embedded server, on loopback only
    bolt_port: int = 7687
    http_port: int = 7474
    neo4j_heap: str = "1g"
    neo4j_page_cache: str = "512m"
    neo4j_jvm: str = ""  # more flags for its Java, separated by blanks

    # the API
    host: str = "127.0.0.1"
    port: int = 8000
    api_processes: int = 1

    # Dask: a scheduler (tcp:// or tls://) that works the independent tasks of runs that ask for it; None: workers of
    # our own, made by each such run. The files are of tls://
    scheduler: str | None = None
    scheduler_ca: Path | None = None
    scheduler_certificate: Path | None = None
    scheduler_key: Path | None = None

    # a language model, by litellm's name for it, that may read what the grammar of claims does not; None: nobody is
    # asked. Its provider's key is litellm's affair
    llm_model: str | None = None
    llm_timeout: float = 30.0

    # what our processes log on stderr
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # runs: a lease not renewed for `lease_seconds` is lost; idle workers look for work every `poll_seconds`
    lease_seconds: float = 15.0
    poll_seconds: float = 0.5
    max_attempts: int = 3
