"""Limit logins by password, so that passwords cannot be guessed."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from counters.rate_window import RateWindow

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 15 * 60
# An account has a higher limit, so that one address cannot lock out its owner.
ADDRESS_ATTEMPTS = 20
ACCOUNT_ATTEMPTS = 60
attempts = RateWindow("counters.login", seconds=WINDOW_SECONDS)


class LimitedLogins(ModelBackend):
    """Authenticate Django's users; count attempts in the cache that processes share."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **others: Any,
    ) -> Any:
        limits = {
            _caller("address", address_of(request)): ADDRESS_ATTEMPTS,
            _caller("account", str(username)): ACCOUNT_ATTEMPTS,
        }
        # Counted before the password is checked, so that parallel attempts count too.
        # A blocked address does not use up attempts of the account.
        if any(_is_over(caller, most) for caller, most in limits.items()):
            logger.warning(
                "Too many logins as %r or from %s; both are blocked for up to %d minutes.",
                username,
                address_of(request),
                WINDOW_SECONDS // 60,
            )
            raise PermissionDenied
        user = super().authenticate(request, username, password, **others)
        if user is not None:
            attempts.forget(*limits)
        return user


def address_of(request: HttpRequest | None) -> str:
    """Return the client's address, from X-Forwarded-For behind PROXIES proxies."""
    if request is None:
        return ""
    told = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    proxies: int = settings.PROXIES
    if 0 < proxies <= len(told):
        return str(told[-proxies].strip())
    return str(request.META.get("REMOTE_ADDR", ""))


def _caller(kind: str, value: str) -> str:
    digest = hashlib.sha256(value.encode(errors="replace")).hexdigest()
    return f"{kind}.{digest}"


def _is_over(caller: str, most: int) -> bool:
    """Count an attempt. Without a cache only the slow password hash limits guesses."""
    used = attempts.count(caller)
    return used is not None and used.calls > most
