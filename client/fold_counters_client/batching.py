"""Interpret the refusal of a batch, so that batchers know which events to send next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fold_counters_client.errors import CountersError, Problem
from fold_counters_client.results import NewEvent

# These statuses do not depend on the events: access was denied, or the call came too early.
NOT_ABOUT_EVENTS = frozenset({401, 408, 429})


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that the service will never take, and why. It does not count."""

    event: NewEvent
    error: CountersError


OnRefused = Callable[[Refused], object]


def index_of(error: CountersError, events: Sequence[NewEvent]) -> int | None:
    """Return the index of the event at fault; None if the error has none."""
    if not is_for_good(error):
        return None
    index = error.facts.get("index") if isinstance(error, Problem) else None
    if isinstance(index, int) and 0 <= index < len(events):
        return index
    return 0 if len(events) == 1 else None


def about_one(event: NewEvent, error: CountersError) -> CountersError:
    """Return the error of a batch as an error of this event, without its place there."""
    if not isinstance(error, Problem):
        return error
    facts = {**error.facts}
    detail = error.detail.removeprefix(f"events[{facts.pop('index', None)}]: ")
    # The other events are sent again.
    detail = detail.removesuffix(" Nothing of the batch was added.")
    of_event = type(error)(error.status, error.code, detail, facts)
    of_event.token = str(event.token)
    return of_event


def is_for_good(error: CountersError) -> bool:
    """Tell whether the same events would be refused again."""
    return (
        isinstance(error, Problem)
        and 400 <= error.status < 500
        and error.status not in NOT_ABOUT_EVENTS
    )
