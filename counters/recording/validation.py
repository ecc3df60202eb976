"""Validate events before anything is written."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from counters.db import clock
from counters.errors import InvalidValue, MissingValue, NotForBestEffort
from counters.models import Namespace
from counters.namespaces import best_effort, lookup
from counters.recording import names, tokens

DELTA_MIN, DELTA_MAX = -(2**63), 2**63 - 1
DELTA_WANTED = f"a whole number from {DELTA_MIN} to {DELTA_MAX}"


# Named tuples, because a frozen dataclass takes three times as long to make.
class TokenedEvent(NamedTuple):
    """A validated event with a token."""

    namespace: Namespace
    name: str
    token: tokens.Token
    event_time: datetime
    delta: int

    @property
    def untimed(self) -> bool:
        """Tell whether the token fixes no time, so that a duplicate must be looked up."""
        return self.token.event_time is None


class UntokenedEvent(NamedTuple):
    """A validated event without a token: sent again, it counts again."""

    namespace: Namespace
    name: str
    # None: the database's time when it is written.
    event_time: datetime | None
    delta: int


CheckedEvent = TokenedEvent | UntokenedEvent


def check_event(
    *,
    namespace: object,
    name: object,
    delta: object,
    token: object = None,
    generation_time: datetime | None = None,
    now: datetime | None = None,
    any_age: bool = False,
) -> CheckedEvent:
    """Return the event of these values, or raise an error about them.

    `any_age` lifts the accept window; it is for imports of old events only.
    """
    found = lookup.get(namespace)
    if best_effort.applies_to(found) and (
        token is not None or generation_time is not None
    ):
        raise NotForBestEffort(found.name, "tokens and no event times")
    checked_name = names.check(name)
    checked_delta = check_delta(delta)
    check_generation_time(generation_time)
    if token is None:
        if generation_time is not None and not any_age:
            lookup.check_event_time(found, generation_time, now or clock.now())
        return UntokenedEvent(found, checked_name, generation_time, checked_delta)
    now = now or clock.now()
    parsed = tokens.parse(token, generation_time)
    event_time = parsed.event_time or now
    if not any_age:
        carried = generation_time is None and parsed.event_time is not None
        lookup.check_event_time(found, event_time, now, carried=carried)
    return TokenedEvent(found, checked_name, parsed, event_time, checked_delta)


def check_delta(delta: object) -> int:
    """Return the delta, or raise MissingValue or InvalidValue."""
    if delta is None:
        raise MissingValue("delta", DELTA_WANTED)
    # bool is a subclass of int; `true` is no count.
    if not isinstance(delta, int) or isinstance(delta, bool):
        raise InvalidValue("delta", delta, DELTA_WANTED)
    if not DELTA_MIN <= delta <= DELTA_MAX:
        raise InvalidValue("delta", delta, DELTA_WANTED)
    return delta


def check_generation_time(at: object) -> None:
    """Raise InvalidValue unless it is None or an aware datetime since 1970."""
    if at is None:
        return
    wanted = "an instant since 1970 with its UTC offset"
    if not isinstance(at, datetime):
        raise InvalidValue("generation_time", at, f"a datetime: {wanted}")
    if at.tzinfo is None or at < tokens.EPOCH:
        raise InvalidValue("generation_time", at.isoformat(), wanted)
