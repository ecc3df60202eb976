"""API tokens: made, listed and revoked. Only their hash is kept; knox does that part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import transaction
from knox.settings import CONSTANTS

from counters.errors import ApiTokenNotFound
from counters.namespaces.access import user_named
from counters.rest import authentication

# Asked for by name: where knox is not installed, the import above has said so.
AuthToken: Any = apps.get_model("knox", "AuthToken")


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is known of a token: not the token itself, but how it begins."""

    prefix: str
    user: str
    created_at: datetime
    expires_at: datetime | None


def create(*, user: str, expires_in: timedelta | None = None) -> tuple[ApiToken, str]:
    """Make a token; return it with what is kept of it. Raises AccountNotFound."""
    kept, token = AuthToken.objects.create(user_named(user), expiry=expires_in)
    return _described(kept), str(token)


def list_all(*, user: str | None = None) -> list[ApiToken]:
    """Return all tokens, or a user's, newest first. Raises AccountNotFound."""
    kept = AuthToken.objects.select_related("user").order_by("-created")
    if user is not None:
        kept = kept.filter(user=user_named(user))
    return [_described(one) for one in kept]


def revoke(prefix: str) -> ApiToken:
    """Delete the token that begins so; it works for two seconds more at most.

    Raises ApiTokenNotFound where none, or more than one, begins so.
    """
    with transaction.atomic():
        # Whoever pastes the whole token means its beginning.
        found = list(
            AuthToken.objects.select_for_update(of=["self"])
            .select_related("user")
            .filter(token_key__startswith=prefix[: CONSTANTS.TOKEN_KEY_LENGTH])[:10]
        )
        if not prefix or len(found) != 1:
            raise ApiTokenNotFound(prefix, len(found))
        described = _described(found[0])
        found[0].delete()
    authentication.forget_all()
    return described


def _described(kept: Any) -> ApiToken:
    return ApiToken(kept.token_key, kept.user.get_username(), kept.created, kept.expiry)
