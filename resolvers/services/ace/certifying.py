"""Certifying: an experiment that retired in good order gets its certificate once it has succeeded, not before.

What it attests, its end included, is known only then; so whoever has worked an experiment certifies all that are due,
and one whose worker was killed in between is certified by the next. A run has one certificate, however often it is
asked for.
"""

from __future__ import annotations

import logging

from graph.gateway import Gateway
from graph.queries import certificates
from graph.settings import Settings
from resolvers.certificates.issuing import issue
from resolvers.certificates.signing import key_of
from resolvers.certificates.statement import Refused

log = logging.getLogger(__name__)


async def certify_due(gateway: Gateway, settings: Settings) -> int:
    """Certify the experiments that are due; how many are certified now. One that is refused stays without."""
    made = 0
    for uid in await certificates.due(gateway):
        try:
            _, new = await issue(gateway, uid, key_of(settings.home))
            made += new
        except Refused as refused:
            log.warning("run %s: %s", uid, refused)
    return made
