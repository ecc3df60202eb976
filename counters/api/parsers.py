"""Reading request bodies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import IO, Any

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from counters.errors import InvalidValue


class StrictJSONParser(JSONParser):
    """JSON as RFC 8259 has it; nesting deep enough to break the parser is an error too."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error


def read_object(body: object, *, allowed: frozenset[str]) -> dict[str, Any]:
    """Return a JSON object that holds no other than the allowed fields.

    A field that nobody reads is refused: a misspelt `token` would count twice in silence.
    """
    if not isinstance(body, dict):
        raise InvalidValue("body", body, f"a JSON object with {_listed(allowed)}")
    for field in body:
        if field not in allowed:
            raise InvalidValue(
                "body", field, f"a field of this call: {_listed(allowed)}"
            )
    return body


def read_time(field: str, value: object) -> datetime | None:
    """Return an ISO 8601 instant with its UTC offset, None for None."""
    if value is None:
        return None
    wanted = "an ISO 8601 instant with its UTC offset, such as 2026-01-31T12:00:00.000Z"
    try:
        at = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidValue(field, value, wanted)
    return at


def _listed(fields: frozenset[str]) -> str:
    return ", ".join(sorted(fields))
