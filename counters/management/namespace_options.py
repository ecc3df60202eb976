"""The options of the commands that create and change namespaces."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from counters.models import BucketSize, CounterType
from counters.namespaces.settings import FIELDS

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str) -> int:
    """Return the seconds of `90s`, `15m`, `24h`, `30d`, or a plain number of them."""
    found = re.fullmatch(r"([0-9]{1,10})([smhd]?)", text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no duration, such as 90s, 15m, 24h, 30d")
    return int(found[1]) * UNITS[found[2] or "s"]


def add_to(parser: ArgumentParser) -> None:
    parser.add_argument("--description", metavar="TEXT", help="for people")
    parser.add_argument(
        "--counter-type",
        choices=CounterType.values,
        help="what reads promise; best-effort lives in the cache alone, and may be lost",
    )
    parser.add_argument(
        "--bucket-size", choices=BucketSize.values, help="the finest buckets of series"
    )
    for option, meaning in (
        ("--accept-past", "how old an event may be: the horizon for retries (24h)"),
        ("--accept-future", "how far ahead a client's clock may run (5m)"),
        ("--retention", "how long single events are kept (30d)"),
    ):
        parser.add_argument(
            option,
            dest=f"{option[2:].replace('-', '_')}_seconds",
            type=duration,
            metavar="DURATION",
            help=meaning,
        )


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that were given."""
    return {field: options[field] for field in FIELDS if options.get(field) is not None}
