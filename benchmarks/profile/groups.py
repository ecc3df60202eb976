"""Groups of functions: what a sample of the Python stack was spent on."""

from __future__ import annotations

import re
from collections import Counter

# The first that matches a frame, from the innermost outwards; the standard library's
# frames match none, so their time is their caller's.
GROUPS = {
    "hook and trigger": r"counters/(announcing|signals)|rollups/|django/dispatch",
    "checking": r"counters/(checking|tokens|names|namespaces|remembering|best_effort)\.py",
    "rights and tokens": r"counters/(access|api/authentication)|knox|django/contrib/auth",
    "throttle": r"counters/api/throttling|rest_framework/throttling",
    "reading the body": r"counters/api/parsers|rest_framework/(parsers|negotiation)"
    r"|rest_framework/utils/(json|encoders|mediatypes)|^(load|load_payload|data|_parse)\b.*rest_framework/request",
    "writing the answer": r"counters/api/shapes|stamp.*counters/errors"
    r"|rest_framework/(renderers|response)|django/template/response|django/http/response",
    "our views": r"counters/api/(add|events|views)",
    "recording": r"counters/(recording|batches|repeats|statements|creating)",
    "psycopg": r"psycopg|counters/bounded",
    "Django's database layer": r"django/db|django/utils/asyncio",
    "DRF": r"rest_framework|django/views",
    "middleware": r"counters/api/paths|content_policy|whitenoise|django/middleware"
    r"|django/contrib|django/utils/deprecation|corsheaders",
    "URLs and request": r"django/(urls|core|http|utils)",
    "gunicorn": r"gunicorn|concurrent/futures|selectors\.py",
}
_COMPILED = {group: re.compile(pattern) for group, pattern in GROUPS.items()}


def group_of(stack: list[str]) -> str:
    """Return the group of a stack, whose innermost frame comes last."""
    for frame in reversed(stack):
        for group, pattern in _COMPILED.items():
            if pattern.search(frame):
                return group
    return "the rest"


def count(lines: list[str]) -> Counter[str]:
    """Count the samples of py-spy's raw format, `frame;frame;... samples`, by group."""
    samples: Counter[str] = Counter()
    for line in lines:
        stack, _, times = line.rpartition(" ")
        samples[group_of(stack.split(";"))] += int(times)
    return samples
