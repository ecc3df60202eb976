"""What a web server refuses to start with: values that anybody knows or can guess."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured

KEY_LENGTH = 50
KEY_CHARACTERS = 5
# Django's `startproject` writes keys that begin so.
INSECURE_PREFIX = "django-insecure-"
_MAKE_ONE = (
    "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))' and give"
    " every web server the same."
)


def refuse_guessable(
    *, secret_key: str, fallbacks: Sequence[str], hosts: Sequence[str]
) -> None:
    """Raise ImproperlyConfigured, without the value, for what is not safe to serve with."""
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
                f"{name} can be guessed: it must have {KEY_LENGTH} characters or more, of"
                f" at least {KEY_CHARACTERS} kinds, and not begin with"
                f" {INSECURE_PREFIX!r}. {_MAKE_ONE}"
            )
    if "*" in hosts:
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS=* takes requests for any host name; list the names that your"
            " clients use, for example ALLOWED_HOSTS=counters.example.com,10.0.0.5"
        )
