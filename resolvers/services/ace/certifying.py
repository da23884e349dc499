"""Certifying: an experiment that retired in good order gets its certificate once it has succeeded, not before.

What it attests, its end included, is known only then; so whoever has worked an experiment certifies all that are due,
and one whose worker was killed in between is certified by the next. A run has one certificate, however often it is
asked for. Why one got none is written on it, and it is not looked at again: no experiment stands in another's way.
"""

from __future__ import annotations

import logging

from graph.errors import GraphError, Outage
from graph.gateway import Gateway
from graph.queries import certificates
from graph.settings import Settings
from resolvers.certificates.issuing import issue
from resolvers.certificates.signing import key_of

log = logging.getLogger(__name__)


async def certify_due(gateway: Gateway, settings: Settings) -> int:
    """Certify the experiments that are due; how many are certified now. One that is refused stays without.

    Raises Outage. Without a key of ours that may be used they stay due.
    """
    due = await certificates.due(gateway)
    if not due:
        return 0
    try:
        key = key_of(settings.home)
    except (GraphError, OSError) as error:
        log.warning("%d experiments stay without a certificate: %s", len(due), error)
        return 0
    made = 0
    for uid in due:
        try:
            _, new = await issue(gateway, uid, key)
            made += new
        except Outage:
            raise
        except GraphError as refused:
            await certificates.refuse(gateway, uid, refused.code, str(refused))
            log.warning("run %s: %s", uid, refused)
    return made
