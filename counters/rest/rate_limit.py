"""So many calls a minute for each token, counted in the cache that all processes share.

Off unless COUNTERS_API_RATE_PER_MINUTE is set. DRF's own throttles read a list, change it and write
it back: of calls at the same time some go uncounted. Here each call is one atomic `incr`.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from counters import conf

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
# After the cache has failed, calls are let through uncounted for this long.
PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a token stands in the present minute."""

    limit: int
    used: int
    reset_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class TokenRate(BaseThrottle):
    """Lets a token (or a session's user) make COUNTERS_API_RATE_PER_MINUTE calls a minute."""

    reset_seconds = WINDOW_SECONDS
    _paused_until = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        limit = conf.api_rate_per_minute()
        if not limit:
            return True
        now = time.time()
        used = self._count(f"{_caller(request)}.{int(now // WINDOW_SECONDS)}")
        if used is None:
            return True
        self.reset_seconds = math.ceil(WINDOW_SECONDS - now % WINDOW_SECONDS)
        # CountersView.finalize_response sends it as headers.
        view.rate = Rate(limit, used, self.reset_seconds)  # type: ignore[attr-defined]
        return used <= limit

    def wait(self) -> float:
        return self.reset_seconds

    def _count(self, key: str) -> int | None:
        """Count this call; return how many there were, None where the cache is down."""
        if time.monotonic() < TokenRate._paused_until:
            return None
        key = f"counters.rate.{key}"
        try:
            # Of several first calls at once, one makes it and all count in it.
            if cache.add(key, 1, 2 * WINDOW_SECONDS):
                return 1
            return int(cache.incr(key))
        except Exception as error:
            # A throttle protects the service; it must not be what stops it.
            TokenRate._paused_until = time.monotonic() + PAUSE_SECONDS
            logger.warning("Calls go uncounted, the cache fails: %s", error)
            return None


def _caller(request: Request) -> str:
    digest = getattr(request.auth, "digest", None)
    return f"token-{digest}" if digest else f"user-{request.user.pk}"
