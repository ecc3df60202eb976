"""Refuse to start a web server with settings that can be guessed."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured

KEY_LENGTH = 50
KEY_CHARACTERS = 5
# Keys that Django's `startproject` writes begin with this prefix.
INSECURE_PREFIX = "django-insecure-"
_MAKE_ONE = (
    "Create a key with: python -c 'import secrets; print(secrets.token_urlsafe(50))'."
    " Give every web server the same key."
)


def refuse_guessable(
    *, secret_key: str, fallbacks: Sequence[str], hosts: Sequence[str]
) -> None:
    """Raise ImproperlyConfigured, without the value, for an unsafe setting."""
    if not secret_key:
        raise ImproperlyConfigured(
            f"SECRET_KEY is not set, and DATABASE_URL names a real server. {_MAKE_ONE}"
        )
    for name, key in (
        ("SECRET_KEY", secret_key),
        *(("SECRET_KEY_FALLBACKS", fallback) for fallback in fallbacks),
    ):
        if (
            len(key) < KEY_LENGTH
            or len(set(key)) < KEY_CHARACTERS
            or key.startswith(INSECURE_PREFIX)
        ):
            raise ImproperlyConfigured(
                f"{name} can be guessed: it needs at least {KEY_LENGTH} characters,"
                f" {KEY_CHARACTERS} of them different, and must not begin with"
                f" {INSECURE_PREFIX!r}. {_MAKE_ONE}"
            )
    if "*" in hosts:
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS=* accepts any host name. List the names that your clients use,"
            " for example ALLOWED_HOSTS=counters.example.com,10.0.0.5"
        )
