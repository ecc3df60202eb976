"""Create, list and revoke API tokens. knox stores them as hashes.

The other modules work without knox, so its model is looked up at each call.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from counters.errors import ApiTokenNotFound, InvalidValue
from counters.namespaces.access import user_named
from counters.ttl_cache import Memory

# How many of a token's first characters knox stores unhashed: its TOKEN_KEY_LENGTH.
PREFIX_LENGTH = 15
# Long enough that a typing error revokes nothing.
LEAST_PREFIX = 8
NEEDS_KNOX = (
    "API tokens are stored by knox. Install django-fold-counters[rest], and add"
    " 'rest_framework' and 'knox' to INSTALLED_APPS."
)
# The user and the row of a token, by the digest of its header. The token is not kept.
remembered: Memory[bytes, Any] = Memory()


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token without its secret part."""

    prefix: str
    user: str
    created_at: datetime
    expires_at: datetime | None


def create(*, user: str, expires_in: timedelta | None = None) -> tuple[ApiToken, str]:
    """Create a token; return its description and the token. Raises AccountNotFound."""
    kept, token = _model().objects.create(user_named(user), expiry=expires_in)
    return _described(kept), str(token)


def list_all(*, user: str | None = None) -> list[ApiToken]:
    """Return all tokens, or a user's, newest first. Raises AccountNotFound."""
    kept = _model().objects.select_related("user").order_by("-created")
    if user is not None:
        kept = kept.filter(user=user_named(user))
    return [_described(one) for one in kept]


def revoke(prefix: str) -> ApiToken:
    """Delete the token that begins with `prefix`, which may be the whole token.

    Other processes accept it for at most two more seconds. Raises InvalidValue for a prefix
    that is too short, and ApiTokenNotFound unless exactly one token begins with it.
    """
    if len(prefix) < LEAST_PREFIX:
        raise InvalidValue(
            "prefix", prefix, f"the first {LEAST_PREFIX} characters of a token, or more"
        )
    with transaction.atomic():
        found = list(
            _model()
            .objects.select_for_update(of=["self"])
            .select_related("user")
            .filter(token_key__startswith=prefix[:PREFIX_LENGTH])[:10]
        )
        if len(found) != 1:
            raise ApiTokenNotFound(prefix, len(found))
        described = _described(found[0])
        found[0].delete()
    forget_all()
    return described


def digest(header: bytes) -> bytes:
    """Return the key of an Authorization header in `remembered`."""
    return hashlib.sha256(header).digest()


def forget_all() -> None:
    """Look up every token in the database at its next use."""
    remembered.forget()


def _model() -> Any:
    if not apps.is_installed("knox"):
        raise ImproperlyConfigured(NEEDS_KNOX)
    return apps.get_model("knox", "AuthToken")


def _described(kept: Any) -> ApiToken:
    return ApiToken(kept.token_key, kept.user.get_username(), kept.created, kept.expiry)
