"""Errors that callers can handle.

Each error carries a stable `code`, a message that names the offending value and says
what would be right, and `extra`: the same facts as data, for API clients.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

SHOWN_LENGTH = 80


def shown(value: object) -> str:
    """Return a value in the form in which errors quote it, cut if it is long.

    Numbers, lists and so on in their JSON form (`true`, not `True`), because most values come
    in requests; anything else as its repr.
    """
    try:
        if isinstance(value, Decimal):
            text = str(value)
        elif value is None or isinstance(value, bool | int | float | list | dict):
            text = json.dumps(value, default=repr)
        else:
            text = repr(value)
    except (TypeError, RecursionError):
        text = repr(value)
    except ValueError:
        # Python refuses to print integers of more than 4,300 digits.
        text = (
            f"a number of {value.bit_length()} bits" if isinstance(value, int) else "?"
        )
    return text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "…"


class CountersError(Exception):
    """Base class of all errors of this project."""

    code = "error"

    def __init__(self, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extra = extra


class InvalidValue(CountersError):
    """The value of `field` is not valid."""

    code = "invalid"

    def __init__(self, field: str, value: object, wanted: str) -> None:
        super().__init__(f"{field}: {shown(value)} is not {wanted}.", field=field)
        self.field = field


class MissingValue(CountersError):
    """A required field is missing."""

    code = "missing"

    def __init__(self, field: str, wanted: str) -> None:
        super().__init__(f"{field}: missing; give {wanted}.", field=field)
        self.field = field


class NamespaceNotFound(CountersError):
    """The namespace does not exist, or the caller has no right in it."""

    code = "namespace-not-found"

    def __init__(self, namespace: str) -> None:
        super().__init__(f"There is no namespace {shown(namespace)}.")


class AccessDenied(CountersError):
    """The caller lacks a right in the namespace."""

    code = "access-denied"

    def __init__(self, namespace: str, right: str, *, message: str = "") -> None:
        super().__init__(
            message
            or f"This needs the right to {right} in namespace {shown(namespace)}. A manager of"
            " the namespace can grant it.",
            namespace=namespace,
            right=right,
        )

    @classmethod
    def to_create(cls) -> AccessDenied:
        """Return the error of a caller who may not create namespaces."""
        return cls(
            "*",
            "create namespaces",
            message="To create namespaces, a user needs Django's permission"
            " `counters.add_namespace`. An administrator of the site can give it.",
        )


class AlreadyExists(CountersError):
    """The name is taken."""

    code = "already-exists"

    def __init__(self, field: str, value: str) -> None:
        super().__init__(
            f"{field}: {shown(value)} is taken; choose another.", field=field
        )


class NotConfirmed(CountersError):
    """A deletion was not confirmed with the name of what it deletes."""

    code = "not-confirmed"

    def __init__(self, name: str, given: object) -> None:
        said = "nothing" if given is None else shown(given)
        super().__init__(
            f"This permanently deletes {shown(name)} with all its events. To confirm, give"
            f" exactly this name as `confirm` (percent-encoded in a URL); `confirm` was {said}.",
            name=name,
        )


class DeletionUnfinished(CountersError):
    """A deletion needs more than one request. The next call continues it."""

    code = "deletion-unfinished"

    def __init__(self, namespace: str, counters: int, events: int) -> None:
        super().__init__(
            f"Namespace {shown(namespace)} is too large to delete in one call. This call deleted"
            f" {counters:,} counters with {events:,} events. Send the same call again, until it"
            " answers 204.",
            namespace=namespace,
            counters=counters,
            events=events,
        )


class AccountNotFound(CountersError):
    """The user or group does not exist."""

    code = "account-not-found"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"There is no {kind} {shown(name)}.", name=name)


class ApiTokenNotFound(CountersError):
    """The prefix matches no API token, or several."""

    code = "api-token-not-found"

    def __init__(self, prefix: str, found: int) -> None:
        count = "No API token begins" if not found else f"{found} API tokens begin"
        super().__init__(
            f"{count} with {shown(prefix)}; give a prefix that the list shows."
        )


class BatchTooLarge(CountersError):
    """A batch has too many events."""

    code = "batch-too-large"

    def __init__(self, events: int, most: int) -> None:
        super().__init__(
            f"events: {events:,} are too many; a batch has at most {most:,}. Send the rest"
            " in further batches.",
            events=events,
            most=most,
        )


class NotForBestEffort(CountersError):
    """Best-effort namespaces do not support the call."""

    code = "not-for-best-effort"

    def __init__(self, namespace: str, what: str) -> None:
        super().__init__(
            f"Namespace {shown(namespace)} is best-effort: its counters are only in the"
            f" cache, and have no {what}.",
            namespace=namespace,
        )


class NoSharedCache(CountersError):
    """A best-effort namespace has no cache that all processes share."""

    code = "no-shared-cache"

    def __init__(self, namespace: str, reason: str) -> None:
        super().__init__(
            f"Namespace {shown(namespace)} is best-effort, which needs a shared cache"
            f" (CACHE_URL): {reason}. Nothing was added.",
            namespace=namespace,
        )


class NotAnchored(CountersError):
    """The stored watermarks belong to another database cluster, as after a restore from a dump."""

    code = "not-anchored"

    def __init__(self) -> None:
        super().__init__(
            "The database was restored from a dump into another database cluster. Adds and"
            " eventual reads work. Folds, accurate reads and clears are refused until"
            " `manage.py counters reanchor` has recounted."
        )


class CounterNotFound(CountersError):
    """The namespace has no counter of that name."""

    code = "counter-not-found"

    def __init__(self, namespace: str, name: str) -> None:
        super().__init__(
            f"There is no counter {shown(name)} in namespace {shown(namespace)}:"
            " nothing was added to it yet.",
            namespace=namespace,
            name=name,
        )


CARRIED = (
    " It is the time in the UUIDv7 token. If the event has another time, send it as"
    " generation_time with the token, the same time on every retry."
)


class OutsideAcceptWindow(CountersError):
    """The event time is outside the accept window of the namespace."""

    code = "outside-accept-window"

    def __init__(
        self,
        event_time: datetime,
        since: datetime,
        until: datetime,
        *,
        carried: bool = False,
    ) -> None:
        super().__init__(
            f"event time {stamp(event_time)} is outside the accept window: this"
            f" namespace takes events from {stamp(since)} to {stamp(until)}."
            + CARRIED
            * carried,
            event_time=stamp(event_time),
            accepted_from=stamp(since),
            accepted_until=stamp(until),
        )


class TokenConflict(CountersError):
    """The token was used on this counter with another delta."""

    code = "token-conflict"

    def __init__(self, token: str, *, kept: int, offered: int) -> None:
        super().__init__(
            f"token {shown(token)} was already used on this counter with delta {kept};"
            f" it cannot be used again with delta {offered}.",
            token=token,
            first_delta=kept,
            delta=offered,
        )


class BatchRefused(CountersError):
    """A batch was refused because of its event at `index` (from 0)."""

    code = "batch-refused"

    def __init__(self, index: int, cause: CountersError) -> None:
        super().__init__(
            f"events[{index}]: {cause.message} Nothing of the batch was added.",
            index=index,
            **cause.extra,
        )
        self.index = index
        self.cause = cause


def stamp(at: datetime) -> str:
    """Return an instant as ISO 8601 in UTC with `Z`."""
    return at.isoformat().replace("+00:00", "Z")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 event`, `2,000 events`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
