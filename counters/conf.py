"""The settings of the write side, one row each.

A row is a setting's reader too: `conf.partition_days_ahead()`. The start-up check, the service's
environment variables and the reference page come from the same rows.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Setting(ABC, Generic[T]):
    """A Django setting, and how the service's environment names it."""

    name: str
    default: T
    meaning: str
    # The service's environment variable, where it has another name.
    variable: str = ""

    def __call__(self) -> T:
        """Return the value."""
        return self.convert(getattr(settings, self.name, self.default))

    def check(self, given: object, *, name: str = "") -> T:
        """Return a value as the setting's type; raise ImproperlyConfigured if it is bad."""
        try:
            fits = not isinstance(given, bool) and self.fits(given)
        except (TypeError, ValueError, OverflowError):
            fits = False
        if not fits:
            raise ImproperlyConfigured(
                f"{name or self.name}={given!r} is not {self.wanted}."
            )
        return self.convert(given)

    @property
    @abstractmethod
    def wanted(self) -> str:
        """Describe the values allowed."""

    @abstractmethod
    def convert(self, given: Any) -> T:
        """Return a good value as the setting's type."""

    @abstractmethod
    def fits(self, given: Any) -> bool:
        """Tell whether a value is good; any error of a conversion says that it is not."""


@dataclass(frozen=True, kw_only=True)
class Whole(Setting[int]):
    """A whole number."""

    least: int
    most: int

    @property
    def wanted(self) -> str:
        return f"a whole number from {self.least:,} to {self.most:,}"

    def convert(self, given: Any) -> int:
        return int(given)

    def fits(self, given: Any) -> bool:
        return self.least <= int(given) <= self.most and float(given) == int(given)


@dataclass(frozen=True, kw_only=True)
class Seconds(Setting[float]):
    """A duration; fractions are allowed."""

    least: float
    most: float

    @property
    def wanted(self) -> str:
        return f"a number of seconds from {self.least:,} to {self.most:,}"

    def convert(self, given: Any) -> float:
        return float(given)

    def fits(self, given: Any) -> bool:
        return isfinite(float(given)) and self.least <= float(given) <= self.most


@dataclass(frozen=True, kw_only=True)
class Text(Setting[str]):
    """A text that matches a pattern."""

    pattern: str
    description: str

    @property
    def wanted(self) -> str:
        return self.description

    def convert(self, given: Any) -> str:
        return str(given)

    def fits(self, given: Any) -> bool:
        is_text = isinstance(given, (str, Path))
        return is_text and re.fullmatch(self.pattern, str(given)) is not None


@dataclass(frozen=True, kw_only=True)
class Choice(Setting[str]):
    """One of several words, each with its meaning."""

    choices: Mapping[str, str] = field(hash=False)

    @property
    def wanted(self) -> str:
        *others, last = (f"{word!r} ({what})" for word, what in self.choices.items())
        return f"{', '.join(others)} or {last}"

    def convert(self, given: Any) -> str:
        return str(given)

    def fits(self, given: Any) -> bool:
        return given in self.choices


def refuse_bad_settings(rows: Iterable[Setting[Any]]) -> None:
    """Raise ImproperlyConfigured if a setting of the project is out of its range.

    The apps call it while they are loaded, so at the start of every process: web servers and
    workers run no system checks.
    """
    for row in rows:
        if hasattr(settings, row.name):
            row.check(getattr(settings, row.name))


def body_bytes() -> int:
    """Return the largest body that the API reads: Django's setting, which may be None."""
    most: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return 16 * 1024 * 1024 if most is None else most


partition_days_ahead = Whole(
    name="COUNTERS_PARTITION_DAYS_AHEAD",
    default=7,
    least=1,
    most=365,
    meaning="number of days ahead for which the event table has partitions",
)
api_rate_per_minute = Whole(
    name="COUNTERS_API_RATE_PER_MINUTE",
    variable="API_RATE_PER_MINUTE",
    default=0,
    least=0,
    most=1_000_000_000,
    meaning="calls that each API token may make in a minute, counted in the shared cache; 0"
    " is no limit. While the cache is down nothing is limited",
)

SETTINGS: tuple[Setting[Any], ...] = (partition_days_ahead, api_rate_per_minute)
