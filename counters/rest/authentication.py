"""Authentication of API clients by token."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from counters.namespaces import api_tokens

try:
    from knox.auth import TokenAuthentication
except RuntimeError as error:
    raise ImproperlyConfigured(api_tokens.NEEDS_KNOX) from error

# As knox makes them. A guessed token costs one query by key; one of another shape, none.
_SHAPE = re.compile(rb"[0-9a-f]{64}")


class ApiTokenAuthentication(TokenAuthentication):  # type: ignore[misc]
    """Knox tokens, remembered for two seconds: a revoked token works that much longer."""

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
        known = api_tokens.remembered.get(digest)
        if known is not None:
            return known
        if not _SHAPE.fullmatch(token):
            raise AuthenticationFailed("Invalid token.")
        found = super().authenticate_credentials(token)
        return api_tokens.remembered.keep(digest, found)
