"""Logins by password, so few in a while that guessing one takes for ever."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 15 * 60
# More for an account than for an address: whoever locks out its owner needs several.
ADDRESS_ATTEMPTS = 20
ACCOUNT_ATTEMPTS = 60


class LimitedLogins(ModelBackend):
    """Django's own users; attempts are counted in the cache that all processes share."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **others: Any,
    ) -> Any:
        limits = {
            _key("address", address_of(request)): ADDRESS_ATTEMPTS,
            _key("account", str(username)): ACCOUNT_ATTEMPTS,
        }
        # Counted before the password is looked at: attempts at the same time count too.
        # An address that is out of tries takes none of the account's.
        if any(_count(key) > most for key, most in limits.items()):
            logger.warning(
                "Too many logins as %r or from %s; for up to %d minutes none is tried.",
                username,
                address_of(request),
                WINDOW_SECONDS // 60,
            )
            raise PermissionDenied
        user = super().authenticate(request, username, password, **others)
        if user is not None:
            _forget(*limits)
        return user


def address_of(request: HttpRequest | None) -> str:
    """Return the caller's address, as the nearest PROXIES proxies tell it."""
    if request is None:
        return ""
    told = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    proxies: int = settings.PROXIES
    if 0 < proxies <= len(told):
        return str(told[-proxies].strip())
    return str(request.META.get("REMOTE_ADDR", ""))


def _key(kind: str, value: str) -> str:
    digest = hashlib.sha256(value.encode(errors="replace")).hexdigest()
    return f"counters.login.{kind}.{digest}.{int(time.time() // WINDOW_SECONDS)}"


def _count(key: str) -> int:
    """Count an attempt; return how many there were, 0 while the cache is down."""
    try:
        if cache.add(key, 1, WINDOW_SECONDS):
            return 1
        return int(cache.incr(key))
    except Exception as error:
        # Without a cache only the slow hash of passwords holds up who guesses.
        logger.warning("Logins go uncounted, the cache fails: %s", error)
        return 0


def _forget(*keys: str) -> None:
    try:
        cache.delete_many(keys)
    except Exception as error:
        logger.warning("Logins stay counted, the cache fails: %s", error)
