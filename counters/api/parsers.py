"""Reading request bodies."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from io import BytesIO
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from counters import conf, names
from counters.api.shapes import exact_number
from counters.errors import InvalidValue


class LengthRequired(APIException):
    """A body of unknown length, which Django does not read."""

    status_code = HTTPStatus.LENGTH_REQUIRED
    default_code = "length_required"
    default_detail = (
        "The body came without a Content-Length (Transfer-Encoding: chunked) and was not"
        " read; send its length."
    )


class BodyTooLarge(RequestDataTooBig):
    """A body beyond the limit of its call."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The body is larger than {most:,} bytes; send less at once.")


def check_length(request: Request, *, most: int) -> None:
    """Raise LengthRequired or BodyTooLarge before anything of the body is read.

    To Django a chunked body looks like none at all: a clear would take place without its
    token.
    """
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length and "HTTP_TRANSFER_ENCODING" in request.META:
        raise LengthRequired
    if length.isascii() and length.isdigit() and int(length[:20]) > most:
        raise BodyTooLarge(most)


def is_no_text(charset: str) -> bool:
    """Tell whether it is one of Python's codecs that are no encoding of text, as `zlib`."""
    try:
        codecs.lookup(charset)
    except LookupError:
        return False
    except ValueError:
        return True
    try:
        "".encode(charset)
    except (LookupError, ValueError):
        return True
    return False


class StrictJSONParser(JSONParser):
    """JSON as RFC 8259 has it, of bounded size; nesting that breaks the parser is an error."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        # Django's own limit is for forms; nothing else bounds what is read here.
        most = conf.body_bytes()
        body = stream.read(most + 1)
        if len(body) > most:
            raise BodyTooLarge(most)
        # Later releases of DRF see to it. A body that is decompressed has no bound.
        encoding = str((parser_context or {}).get("encoding") or "utf-8")
        if is_no_text(encoding):
            raise ParseError(f"{encoding!r} is no encoding of text; use utf-8")
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error


def read_object(body: object, *, allowed: frozenset[str]) -> dict[str, Any]:
    """Return a JSON object that holds no other than the allowed fields.

    A field that nobody reads is refused: a misspelt `token` would count twice in silence.
    """
    if not isinstance(body, dict):
        raise InvalidValue("body", body, f"a JSON object with {_listed(allowed)}")
    if not body.keys() <= allowed:
        field = next(field for field in body if field not in allowed)
        raise InvalidValue("body", field, f"a field of this call: {_listed(allowed)}")
    return body


def check_query(query: QueryDict, known: frozenset[str]) -> None:
    """Raise InvalidValue for a parameter that this call does not know, or one given twice.

    `POST …/add?token=` would otherwise count twice in silence, and `?confirm=x&dry_run=`
    would delete.
    """
    for name, values in query.lists():
        if name not in known:
            raise unknown_parameter(name, known)
        if len(values) > 1:
            raise InvalidValue(name, values, "one value; give each parameter once")


def unknown_parameter(name: str, known: frozenset[str]) -> InvalidValue:
    takes = f"a query parameter of this call; it takes {_listed(known) or 'none'}"
    return InvalidValue("query", name, takes)


def read_named(
    body: object, in_path: str | None, *, allowed: frozenset[str]
) -> dict[str, Any]:
    """Return the body's fields with the counter's `name`: the path's, or else the body's."""
    if in_path is None:
        return {"name": None, **read_object(body, allowed=allowed | {"name"})}
    return {**read_object(body, allowed=allowed), "name": in_path}


def read_time(field: str, value: object) -> datetime | None:
    """Return an ISO 8601 instant, which must have its UTC offset, in UTC; None for None."""
    if value is None:
        return None
    wanted = "an ISO 8601 instant with its UTC offset, such as 2026-01-31T12:00:00.000Z"
    try:
        at = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidValue(field, value, wanted)
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise InvalidValue(field, value, "an instant of the years 1 to 9999") from error


def read_delta(value: object) -> object:
    """Return the number where a large one is sent as text, as `exact_number` answers it.

    JavaScript cannot send it otherwise. Any other value is returned as it is, for
    `check_delta`.
    """
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{16,19}", value):
        number = int(value)
        if exact_number(number) == value:
            return number
    return value


def _listed(fields: frozenset[str]) -> str:
    return ", ".join(sorted(fields))


def read_text(field: str, value: str) -> str:
    """Return text of a query string that a name can hold."""
    if not names.is_text(value):
        raise InvalidValue(field, value, "text without control characters")
    return value


def read_whole_number(field: str, value: str | None, default: int) -> int:
    """Return a whole number of a query string."""
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise InvalidValue(field, value, "a whole number")
    return int(value)


def read_claim(field: str, value: str | None) -> bool:
    """Return a yes or no of a query string."""
    if value is None or value == "false":
        return False
    if value == "true":
        return True
    raise InvalidValue(field, value, "true or false")
