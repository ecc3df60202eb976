"""Is it true? Pure functions over what clients know and what the database holds.

Each returns a line for every thing that cannot be if the service keeps its word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from counters.recording import tokens
from tests import histories
from tests.harness.ledger import Account, Tried

# Enough to see what is wrong.
MOST_LINES = 20


@dataclass(frozen=True, slots=True)
class StoredEvent:
    name: str
    token: UUID
    delta: int


@dataclass(frozen=True, slots=True)
class Sum:
    """What a rollup or the buckets of a counter add up to."""

    total: int = 0
    events: int = 0


@dataclass(frozen=True)
class State:
    """A namespace as one snapshot of the database shows it."""

    events: list[StoredEvent] = field(default_factory=list)
    rollups: dict[str, Sum] = field(default_factory=dict)
    buckets: dict[str, Sum] = field(default_factory=dict)
    # Counters that wait for a fold still.
    pending: frozenset[str] = frozenset()

    def counted(self) -> dict[str, Sum]:
        """Return the sum of the events of each counter."""
        total: Counter[str] = Counter()
        events: Counter[str] = Counter()
        for event in self.events:
            total[event.name] += event.delta
            events[event.name] += 1
        return {name: Sum(total[name], events[name]) for name in events}


def acknowledged_but_lost(account: Account, state: State) -> Iterator[str]:
    """What was acknowledged is there, with its delta."""
    stored = {(one.name, one.token): one.delta for one in state.events}
    for tried in account.tried.values():
        delta = stored.get(_key(tried))
        if tried.ended is not None and delta is None:
            yield f"lost: {tried}"
        if delta not in {None, tried.delta}:
            yield f"counted as {delta:+}: {tried}"


def counted_twice(account: Account, state: State) -> Iterator[str]:
    """No token is there twice, whether or not it was acknowledged."""
    times = Counter((one.name, one.token) for one in state.events)
    for (name, token), number in times.items():
        if number > 1:
            yield f"{number} events of token {token} on {name}"


def never_attempted(account: Account, state: State) -> Iterator[str]:
    """Nothing is there that nobody sent, or that its writer rolled back."""
    known = {_key(tried): tried for tried in account.tried.values()}
    for event in state.events:
        tried = known.get((event.name, event.token))
        if tried is None:
            yield f"nobody sent {event}"
        elif tried.withdrawn:
            yield f"rolled back, but there: {event}"


def rollups_differ_from_events(account: Account, state: State) -> Iterator[str]:
    counted = state.counted()
    for name in sorted(counted.keys() | state.rollups.keys()):
        events, rollup = counted.get(name, Sum()), state.rollups.get(name, Sum())
        if events != rollup:
            yield f"{name}: its events make {events}, its rollup says {rollup}"


def buckets_differ_from_rollups(account: Account, state: State) -> Iterator[str]:
    for name in sorted(state.buckets.keys() | state.rollups.keys()):
        buckets, rollup = state.buckets.get(name, Sum()), state.rollups.get(name, Sum())
        if buckets != rollup:
            yield f"{name}: its buckets make {buckets}, its rollup says {rollup}"


def reads_out_of_bounds(account: Account, state: State) -> Iterator[str]:
    """Jepsen's bounds, for accurate reads; eventual ones hold what they claim to hold."""
    adds: dict[str, list[histories.Add]] = {}
    for one in account.tried.values():
        if not one.withdrawn:
            adds.setdefault(one.name, []).append(
                histories.Add(one.began, one.ended, one.delta)
            )
    for name, reads in account.reads.items():
        for line in histories.violations(adds.get(name, []), reads):
            yield f"{name}: {line}"


def wrong_answers(account: Account, state: State) -> Iterator[str]:
    """No client got a 500, or a refusal that it did not ask for."""
    for answer, times in Counter(account.wrong_answers).items():
        yield f"{times} times: {answer}"


def still_pending(account: Account, state: State) -> Iterator[str]:
    for name in sorted(state.pending):
        yield f"{name} was not folded when all faults were healed"


Check = Callable[[Account, State], Iterator[str]]
CHECKS: dict[str, Check] = {
    "acknowledged = counted": acknowledged_but_lost,
    "no token counts twice": counted_twice,
    "nothing counts that nobody sent": never_attempted,
    "rollup = sum of events": rollups_differ_from_events,
    "buckets = rollup": buckets_differ_from_rollups,
    "reads within bounds": reads_out_of_bounds,
    "no wrong answers": wrong_answers,
    "nothing stays pending": still_pending,
}


def run(account: Account, state: State) -> dict[str, list[str]]:
    """Run every check; return its lines by name, none for one that holds."""
    return {name: list(check(account, state)) for name, check in CHECKS.items()}


def _key(tried: Tried) -> tuple[str, UUID]:
    return tried.name, tokens.parse(tried.token).uuid
