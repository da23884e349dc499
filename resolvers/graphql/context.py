"""What a resolver finds in `info.context`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from strawberry.types import Info as StrawberryInfo

from resolvers.graphql.hub import ProgressHub
from resolvers.graphql.loaders import GraphCatalog
from resolvers.services.context import Services
from resolvers.web.metrics import Metrics
from resolvers.web.tokens import Tokens
from resolvers.web.viewer import NOBODY, Viewer


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """One operation's; a WebSocket's operations share all but the catalog."""

    services: Services
    hub: ProgressHub
    metrics: Metrics
    tokens: Tokens
    # what a WebSocket sent in `connection_init`
    connection_params: dict[str, object] = field(default_factory=dict)
    viewer: Viewer = NOBODY
    catalog: GraphCatalog = field(init=False)

    def __post_init__(self) -> None:
        self.renew_catalog()

    def renew_catalog(self) -> None:
        """Forget what was read; every operation sees the graph as it is."""
        self.catalog = GraphCatalog(self.services.gateway)


Info: TypeAlias = StrawberryInfo[RequestContext, None]
