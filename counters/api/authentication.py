"""Authentication of API clients by token."""

from __future__ import annotations

import hashlib
from typing import Any

from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from counters.remembering import Memory

# By the token's digest: the token itself is kept nowhere.
_memory: Memory[bytes, Any] = Memory()


class ApiTokenAuthentication(TokenAuthentication):  # type: ignore[misc]
    """Knox tokens, remembered for a moment: a revoked one works for that long still."""

    def authenticate_credentials(self, token: bytes) -> Any:
        digest = hashlib.sha256(token).digest()
        known = _memory.get(digest)
        if known is not None:
            return known
        try:
            return _memory.keep(digest, super().authenticate_credentials(token))
        except UnicodeDecodeError as error:
            # A header that is not even text is a wrong token, not an error of ours.
            raise AuthenticationFailed("Invalid token.") from error


def forget_all() -> None:
    """Look every token up anew at its next use."""
    _memory.forget()
