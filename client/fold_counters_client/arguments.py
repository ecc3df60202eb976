"""Check arguments before anything is sent. The service has the full rules.

No message quotes an API token, or a URL that may hold a password.
"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from fold_counters_client.errors import InvalidArgument

DELTA_MIN, DELTA_MAX = -(2**63), 2**63 - 1
TOKEN_LENGTH = 255
NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# What identifies an event of a counter, such as the key of an order.
GivenToken = str | int | UUID


def root_of_api(url: object) -> str:
    """Return the API's address below a service's address; raise InvalidArgument."""
    wanted = "an address such as https://counters.example.com or http://127.0.0.1:8000"
    if not isinstance(url, str):
        raise InvalidArgument("url", f"{type(url).__name__} is not {wanted}")
    given = url.strip()
    try:
        parts = urlsplit(given)
        # Reading the port checks it.
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if "@" in given:
        raise InvalidArgument(
            "url", "it contains a user name or a password; leave them out"
        )
    if parts.scheme not in {"http", "https"} or not host or not given.isprintable():
        raise InvalidArgument("url", f"{_quoted(given)} is not {wanted}")
    if parts.query or parts.fragment or " " in given:
        raise InvalidArgument("url", f"it contains more than {wanted}")
    return f"{given.rstrip('/')}/api/v1/"


def api_token(token: object) -> str:
    """Return an API token without the line end of its file; raise InvalidArgument."""
    if not isinstance(token, str):
        raise InvalidArgument(
            "token", f"an API token is text, not {type(token).__name__}"
        )
    stripped = token.strip()
    if not stripped:
        raise InvalidArgument("token", "the API token is empty")
    if not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise InvalidArgument(
            "token",
            f"the API token ({len(stripped)} characters) contains a space or a character"
            " that no token has; give the token that `manage.py counters create-token` printed",
        )
    return stripped


def text(field: str, value: object, *, longest: int | None = None) -> str:
    """Return text that can be sent; raise InvalidArgument."""
    if not isinstance(value, str) or not value:
        raise InvalidArgument(
            field, f"{_quoted(value)} is not text of 1 character or more"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            field,
            f"{_quoted(value)} contains U+{ord(value[error.start]):04X}, half of a surrogate"
            " pair, which is not a character",
        ) from None
    if longest is not None and len(value) > longest:
        raise InvalidArgument(
            field,
            f"{_quoted(value)} has {len(value):,} characters; at most {longest} are allowed",
        )
    return value


def namespace(value: object) -> str:
    """Return a namespace's name, which a path can hold as it is; raise InvalidArgument."""
    name = text("namespace", value)
    if not NAMESPACE.fullmatch(name):
        raise InvalidArgument(
            "namespace",
            f"{_quoted(name)} is not the name of a namespace, which has letters, digits, `.`,"
            " `_` and `-`. Give the namespace first, then the counter's name",
        )
    return name


def delta(value: object) -> int:
    """Return what to add; raise InvalidArgument."""
    wanted = f"a whole number from {DELTA_MIN} to {DELTA_MAX}"
    if isinstance(value, float) and value.is_integer() and abs(value) <= DELTA_MAX:
        # Not taken: a float may have lost digits before it came here.
        raise InvalidArgument("delta", f"{value} is a float; give the int {int(value)}")
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgument("delta", f"{_quoted(value)} is not {wanted}")
    if not DELTA_MIN <= value <= DELTA_MAX:
        raise InvalidArgument("delta", f"a number beyond 64 bits is not {wanted}")
    return int(value)


def idempotency_token(value: object) -> str:
    """Return a token as text, a number by its digits; raise InvalidArgument."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10 ** (TOKEN_LENGTH - 1):
            raise InvalidArgument(
                "token", f"a number has at most {TOKEN_LENGTH - 1} digits here"
            )
        return str(int(value))
    if not isinstance(value, str):
        raise InvalidArgument(
            "token", f"{_quoted(value)} is not text, a whole number or a UUID"
        )
    if value.isspace():
        raise InvalidArgument("token", f"{_quoted(value)} consists only of spaces")
    return text("token", value, longest=TOKEN_LENGTH)


def stamp(field: str, at: object) -> str:
    """Return an instant as ISO 8601; raise InvalidArgument without its time zone."""
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise InvalidArgument(
            field, f"{_quoted(at)} is not a datetime with its time zone"
        )
    return at.isoformat()


def _quoted(value: object) -> str:
    try:
        shown = repr(value)
    except ValueError:
        # Python refuses to print integers of more than 4,300 digits.
        shown = f"a value of type {type(value).__name__}"
    return shown if len(shown) <= 80 else f"{shown[:80]}…"
