"""Reading the service's answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from datetime import datetime
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints
from urllib.parse import parse_qs, urlsplit

from fold_counters_client.errors import NotFound, UnexpectedAnswer
from fold_counters_client.results import Bucket, Json, Reading

T = TypeVar("T")

# `from` is a keyword of Python.
_SENT_AS = {"since": "from", "until": "to"}


def read(kind: type[T], answer: Json) -> T:
    """Return an answer as a class of results.py, its numbers and instants converted."""
    return kind(
        **{
            name: convert(answer[sent_as] if is_sent else answer.get(sent_as))
            for name, sent_as, is_sent, convert in _fields_of(kind)  # type: ignore[arg-type]
        }
    )


@cache
def _fields_of(kind: Any) -> list[tuple[str, str, bool, Callable[[Any], Any]]]:
    """Return each field's name, the name in an answer, whether it must be there, and a converter."""
    hints = get_type_hints(kind)
    return [
        (
            one.name,
            _SENT_AS.get(one.name, one.name),
            one.default is MISSING,
            _converter(hints[one.name]),
        )
        for one in fields(kind)
    ]


def _converter(hint: Any) -> Callable[[Any], Any]:
    if NoneType in get_args(hint):
        [known] = [one for one in get_args(hint) if one is not NoneType]
        convert = _converter(known)
        return lambda value: None if value is None else convert(value)
    if hint is int:
        # Large numbers are sent as text.
        return int
    if hint is datetime:
        return datetime.fromisoformat
    if hint == list[Bucket]:
        return lambda value: [read(Bucket, one) for one in value]
    return lambda value: value


def reader(kind: type[T]) -> Callable[[Json], T]:
    """Return a function that reads an answer as this class."""
    return lambda answer: read(kind, answer)


def results(kind: type[T]) -> Callable[[Json], list[T]]:
    """Return a function that reads an answer with a list of `results`."""
    return lambda answer: [read(kind, one) for one in answer["results"]]


def about(name: str, kind: type[T]) -> Callable[[Json], T]:
    """Return a reader of answers that raises if one is about another counter."""

    def read_checked(answer: Json) -> T:
        check_name(name, answer)
        return read(kind, answer)

    return read_checked


def check_name(sent: str, answer: Json) -> None:
    """Raise UnexpectedAnswer where the answer is about another counter."""
    # The service keeps names in this form.
    if answer["name"] != unicodedata.normalize("NFC", sent):
        raise UnexpectedAnswer(
            f"The call was about counter {sent!r}, but the answer is about"
            f" {answer['name']!r}. Something between this client and the service changes"
            " calls; that other counter may have changed."
        )


def readings(
    namespace: str, names: Sequence[str]
) -> Callable[[Json], list[Reading | None]]:
    """Return a reader of the readings, in the order of the names; None: no counter."""

    def read_all(answer: Json) -> list[Reading | None]:
        found = []
        for name, one in zip(names, answer["results"], strict=True):
            check_name(name, one)
            reading = {"namespace": namespace, **one}
            found.append(read(Reading, reading) if one["found"] else None)
        return found

    return read_all


def no_counter(namespace: str, name: str) -> NotFound:
    """Return the error of a counter that a read did not find."""
    return NotFound(
        404,
        "counter-not-found",
        f"There is no counter {name!r} in namespace {namespace!r}: nothing has been added to"
        " it yet.",
        {"namespace": namespace, "name": name},
    )


def page(answer: Json) -> tuple[list[Reading], str | None]:
    """Return the readings of a page, and the cursor of the next page."""
    cursor = None
    if answer["next"] is not None:
        # Only the cursor: behind a proxy the service may not know its own address.
        cursor = parse_qs(urlsplit(answer["next"]).query)["cursor"][0]
    return [read(Reading, one) for one in answer["results"]], cursor
