"""Authentication of API clients by token."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from counters.ttl_cache import Memory

try:
    from knox.auth import TokenAuthentication
except RuntimeError as error:
    raise ImproperlyConfigured(
        "The counters' API keeps its tokens in knox: add 'knox' to INSTALLED_APPS, beside"
        " 'rest_framework', or leave the API out of your URLs."
    ) from error

# As knox makes them. A guess costs one look-up by key, one of another shape not even that.
_SHAPE = re.compile(rb"[0-9a-f]{64}")
# By the token's digest: the token itself is kept nowhere.
_memory: Memory[bytes, Any] = Memory()


class ApiTokenAuthentication(TokenAuthentication):  # type: ignore[misc]
    """Knox tokens, remembered for a moment: a revoked one works for that long still."""

    def authenticate(self, request: Request) -> Any:
        """Authenticate by knox's prefix, or by `Bearer` (RFC 6750), which most clients send."""
        scheme, *rest = get_authorization_header(request).split() or [b""]
        if scheme.lower() != b"bearer":
            return super().authenticate(request)
        if len(rest) != 1:
            raise AuthenticationFailed("Send one token: `Authorization: Bearer …`.")
        return self.authenticate_credentials(rest[0])

    def authenticate_credentials(self, token: bytes) -> Any:
        digest = hashlib.sha256(token).digest()
        known = _memory.get(digest)
        if known is not None:
            return known
        if not _SHAPE.fullmatch(token):
            raise AuthenticationFailed("Invalid token.")
        return _memory.keep(digest, super().authenticate_credentials(token))


def forget_all() -> None:
    """Look every token up anew at its next use."""
    _memory.forget()
