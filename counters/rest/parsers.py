"""Read request bodies and queries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from django.http import QueryDict
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.utils import json

from counters import conf
from counters.errors import InvalidValue, shown
from counters.recording import names

# RFC 8941, 3.3.3.
SF_STRING = re.compile(r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"')
KEY_WANTED = (
    'one token, such as order-17 or "order-17"; put a token with a comma or a quotation mark'
    " between quotation marks, or into the body"
)
# The longest integers that any field takes have 19 digits and a sign.
MOST_DIGITS = 20
KEY_NOT_ASCII = "ASCII; send a token with other characters as `token` in the body"


class LengthRequired(APIException):
    """A body without a length, which Django does not read."""

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


class ContentEncoded(UnsupportedMediaType):
    """A body with a Content-Encoding header."""

    # RFC 9110, 15.5.16: the answer names the accepted encodings.
    accept_encoding = "identity"

    def __init__(self, encoding: str) -> None:
        super().__init__(
            encoding,
            f"Content-Encoding: {encoding[:40]!r} is not accepted; send the body uncompressed,"
            " without this header.",
        )


def check_encoding(request: Request) -> None:
    """Raise ContentEncoded unless the body is sent without an encoding."""
    encoding = request.headers.get("Content-Encoding", "").strip()
    if encoding and encoding.lower() != "identity":
        raise ContentEncoded(encoding)


def check_length(request: Request, *, most: int) -> None:
    """Raise LengthRequired or BodyTooLarge before the body is read.

    Django treats a chunked body as an empty one: a clear would be done without its token.
    """
    if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get(
        "CONTENT_LENGTH"
    ):
        raise LengthRequired
    if _length(request) > most:
        raise BodyTooLarge(most)


def check_no_body(request: Request) -> None:
    """Raise InvalidValue for a body of a call that takes none.

    What the body asks for would be ignored, such as the `confirm` of a deletion.
    """
    if length := _length(request):
        raise InvalidValue(
            "body",
            length,
            f"0 bytes: this {request.method} call takes no body. Send its parameters in the"
            " query",
        )


def _length(request: Request) -> int:
    """Return the Content-Length; 0 for none and for one that is no number, as Django does."""
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text[:20]) if text.isascii() and text.isdigit() else 0


class StrictJSONParser(JSONParser):
    """Parse JSON of RFC 8259 and of limited size. Too deep nesting is an error."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        # Django's limit is for forms only, so this is the only limit of what is read.
        most = conf.body_bytes()
        body = stream.read(most + 1)
        if len(body) > most:
            raise BodyTooLarge(most)
        encoding = str((parser_context or {}).get("encoding") or "utf-8")
        try:
            return json.loads(
                body.decode(encoding),
                parse_int=_read_integer,
                parse_float=_read_number,
                parse_constant=json.strict_constant,
                object_pairs_hook=_read_object,
            )
        except LookupError as error:
            # Unknown, or one of Python's codecs that do not decode text, such as `zlib`.
            raise ParseError(
                f"{encoding!r} is not a text encoding; use utf-8"
            ) from error
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error


def _read_integer(text: str) -> int | Decimal:
    """Return an integer; as a Decimal if it is too long for any field.

    The error of the field then names its range. Python reads no int of more than 4,300 digits.
    """
    return int(text) if len(text) <= MOST_DIGITS else Decimal(text)


def _read_number(text: str) -> int | Decimal:
    """Return a number with a point or an exponent; as an int if it is whole (`5.0`, `1e3`).

    Never return a float, because some would be rounded to whole numbers.
    """
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text[:40]} is out of range") from error
    if number.adjusted() < MOST_DIGITS and number == number.to_integral_value():
        return int(number)
    return number


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{shown(twice)} is given twice in one object")
    return found


def read_object(body: object, *, allowed: frozenset[str]) -> dict[str, Any]:
    """Return a JSON object, after checking that it has only allowed fields.

    An unknown field is an error: with a misspelt `token` a retry would count twice.
    """
    if not isinstance(body, dict):
        raise InvalidValue("body", body, f"a JSON object with {_listed(allowed)}")
    if not body.keys() <= allowed:
        field = next(field for field in body if field not in allowed)
        raise InvalidValue("body", field, f"a field of this call: {_listed(allowed)}")
    return body


def check_query(query: QueryDict, known: frozenset[str]) -> None:
    """Raise InvalidValue for an unknown parameter or one that is given twice.

    Otherwise a retry of `POST …/add?token=` would count twice, and `?confirm=x&dry_run=`
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
    """Return the body's fields with the counter's `name`, from the path or the body."""
    if in_path is None:
        return {"name": None, **read_object(body, allowed=allowed | {"name"})}
    return {**read_object(body, allowed=allowed), "name": in_path}


def read_idempotency_key(value: str | None) -> str | None:
    """Return the token of an Idempotency-Key header, which may be a quoted string.

    The draft standard requires a string of RFC 8941 (`"order-17"`); many clients send the
    token without quotes. If a header is sent twice, servers join the values with a comma.
    """
    if value is None:
        return None
    if not value.isascii():
        raise InvalidValue("Idempotency-Key", value, KEY_NOT_ASCII)
    if value.startswith('"'):
        if not SF_STRING.fullmatch(value):
            raise InvalidValue("Idempotency-Key", value, KEY_WANTED)
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    if "," in value:
        raise InvalidValue("Idempotency-Key", value, KEY_WANTED)
    return value


def _listed(fields: frozenset[str]) -> str:
    return ", ".join(sorted(fields))


def read_text(field: str, value: str) -> str:
    """Return text of a query string that a name can hold."""
    if not names.is_text(value):
        raise InvalidValue(field, value, "text without control characters")
    return value


def read_whole_number(field: str, value: str, *, most: int) -> int:
    """Return a whole number from 1 to `most` of a query string."""
    is_number = re.fullmatch("[0-9]{1,18}", value)
    if not is_number or not 1 <= int(value) <= most:
        raise InvalidValue(field, value, f"a whole number from 1 to {most}")
    return int(value)


def read_claim(field: str, value: str | None) -> bool:
    """Return a yes or no of a query string."""
    if value is None or value == "false":
        return False
    if value == "true":
        return True
    raise InvalidValue(field, value, "true or false")
