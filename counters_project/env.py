"""Typed readers for environment variables: a bad value stops the start and is named."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from counters.conf import Setting

T = TypeVar("T")

# A name, one with a leading dot for its subdomains, an IPv6 address, or everything.
_HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")

# COUNTERS_PORT and COUNTERS_ROLE have 0.77.
_SIMILAR = 0.85

# The path of a Redis URL: the number of a database.
_DATABASE = re.compile(r"(/[0-9]*)?")


# The variables that the settings read.
_known: set[str] = set()


def _read(name: str) -> str | None:
    _known.add(name)
    return os.environ.get(name)


def warnings_of_names(rows: Iterable[Setting[Any]]) -> Iterator[str]:
    """Yield a warning for each variable that is not read, but was probably meant to be.

    It has the name of an app's setting whose variable has another name, or nearly the name of
    a variable. Others are ignored: Kubernetes sets COUNTERS_SERVICE_HOST, COUNTERS_PORT and
    so on for a service `counters`.
    """
    variables = {row.name: row.variable for row in rows if row.variable}
    for name in sorted(os.environ.keys() - _known):
        meant = [variables[name]] if name in variables else []
        if meant or (meant := get_close_matches(name, sorted(_known), 1, _SIMILAR)):
            yield f"The environment variable {name} has no effect. Is {meant[0]} meant?"


def text(name: str, default: str) -> str:
    """Return the variable, or `default` where it is unset or empty."""
    return _read(name) or default


def integer(name: str, default: int, *, at_least: int = 0) -> int:
    """Return the variable as a whole number not below `at_least`."""
    raw = _read(name) or str(default)
    try:
        value = int(raw)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name}={raw!r} is not a whole number; set it to {at_least} or more."
        ) from error
    if value < at_least:
        raise ImproperlyConfigured(
            f"{name}={raw!r} is too small; the least is {at_least}."
        )
    return value


def number(name: str, default: float) -> float:
    """Return the variable as a finite number above zero."""
    raw = _read(name) or str(default)
    try:
        value = float(raw)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name}={raw!r} is not a number, such as {default:g}."
        ) from error
    if not 0 < value < float("inf"):
        raise ImproperlyConfigured(f"{name}={raw!r} must be above 0 and finite.")
    return value


def setting(row: Setting[T]) -> T:
    """Return the variable of an app's setting, or its default where it is unset or empty."""
    name = row.variable or row.name
    raw = _read(name)
    return row.check(raw, name=name) if raw else row.default


def flag(name: str, default: bool) -> bool:
    """Return the variable as a claim: 1/true/yes/on or 0/false/no/off."""
    raw = (_read(name) or str(default)).lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name}={raw!r} is not a yes or no; use 1 or 0.")


def url(name: str, default: str) -> str:
    """Return the variable as a URL, or several with `;` between; errors do not quote it."""
    raw = text(name, default)
    try:
        for one in raw.split(";"):
            urlsplit(one).port  # noqa: B018 - reading it is what checks it
    except ValueError:
        # What is wrong is most often the password, so neither it nor the cause is shown.
        raise ImproperlyConfigured(
            f"{name} is not a URL; in its user and password write % as %25, / as %2F,"
            " # as %23, ? as %3F, @ as %40 and : as %3A."
        ) from None
    return raw


def cache_url(name: str, default: str) -> str:
    """Return the variable as a Redis or Valkey address; errors do not quote it."""
    raw = url(name, default)
    # Django takes several addresses, a primary and its replicas, separated by either.
    for one in re.split("[;,]", raw):
        scheme, _, path, _, _ = urlsplit(one)
        # redis-py treats any other path of a URL as database 0.
        is_database = scheme == "unix" or _DATABASE.fullmatch(path)
        if one and not (scheme in {"redis", "rediss", "unix"} and is_database):
            raise ImproperlyConfigured(
                f"{name} is not the address of a Redis or Valkey, such as redis://host:6379/1,"
                " rediss://host:6379/1 (TLS) or unix:///path/to/socket."
            )
    return raw


def names(name: str, default: str) -> list[str]:
    """Return a comma-separated variable as a list without empty items."""
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def hosts(name: str, default: str) -> list[str]:
    """Return a comma-separated variable as host names for Django's ALLOWED_HOSTS."""
    found = names(name, default)
    for host in found:
        if not _HOST.fullmatch(host):
            raise ImproperlyConfigured(
                f"{name} contains {host!r}, which is not a host name. Write names without"
                f" scheme, port and path, and IPv6 addresses in brackets, for example"
                f" {name}=counters.example.com,10.0.0.5,[::1]"
            )
    return found


def running_service(data_dir: Path) -> dict[str, Any]:
    """Return what `make run` wrote about itself, or nothing where it is not running.

    With it, `manage.py` finds the embedded servers without any variable set.
    """
    try:
        described = json.loads((data_dir / "run.json").read_text())
    # A file that another program wrote there is ignored.
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return {}
    except OSError as error:
        raise ImproperlyConfigured(
            f"{error.filename} cannot be read: {error.strerror}. Run this as the user of"
            " `make run`, or set DATA_DIR to a directory of your own."
        ) from error
    return described if isinstance(described, dict) else {}
