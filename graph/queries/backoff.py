"""How long a run waits before it is tried again.

    d(n) = min(b·2^(n−1), c)·(1 + u)/2,    u = u(uid, n) in [0, 1)

after its n-th attempt, with b = 2 s and c = 5 min. Runs that failed together (a full disk, a graph that restarts) do
not come back together, for u is another for each; being a hash, it needs no state and is the same for all workers.
Reference: Brooker, "Exponential backoff and jitter", AWS Architecture Blog (2015): "equal jitter".
"""

from __future__ import annotations

import hashlib

BASE_SECONDS = 2.0
CAP_SECONDS = 300.0


def pause(uid: str, attempt: int) -> float:
    """Seconds to wait after attempt `attempt` (1 is the first); 0 after none."""
    if attempt < 1:
        return 0.0
    # beyond the cap the power would only overflow
    whole = min(BASE_SECONDS * 2.0 ** min(attempt - 1, 32), CAP_SECONDS)
    drawn = int.from_bytes(hashlib.sha256(f"{uid}/{attempt}".encode()).digest()[:7], "big") / 256**7
    return whole * (1.0 + drawn) / 2.0
