"""What a client does, from its seed alone: the same seed, the same operations in order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Kind = Literal["add", "hedge", "repeat", "conflict", "batch", "accurate", "eventual"]

# Counts of these never fall; the others are added to and taken from.
RISING = tuple(f"rising {number}" for number in range(6))
MIXED = tuple(f"mixed {number}" for number in range(6))
# Written now and then: when their trigger is lost, no later one stands in for it.
COLD = tuple(f"cold {number}" for number in range(100))
NAMES = RISING + MIXED + COLD
# The first is hot: a third of everything goes there.
_WEIGHTS = [6.0, *[1.0] * (len(RISING + MIXED) - 1), *[0.015] * len(COLD)]
_KINDS: dict[Kind, int] = {
    "add": 40,
    "hedge": 10,
    "repeat": 8,
    "conflict": 4,
    "batch": 8,
    "accurate": 18,
    "eventual": 12,
}
_MOST_OF_A_BATCH = 12
_MOST_AGE_SECONDS = 3 * 3600


@dataclass(frozen=True, slots=True)
class Event:
    """One add. A token of "" is to be made of the time at which it is sent (UUIDv7)."""

    name: str
    delta: int
    token: str
    # For a token that comes with a generation time: how long ago that was.
    age_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a client does until it is answered, or gives up."""

    kind: Kind
    events: tuple[Event, ...]
    # The first attempt gets too little time for its answer.
    hasty: bool
    # ... and there is no second one: nobody ever knows whether it counted.
    abandoned: bool


def operations(*, seed: str, client: int) -> Iterator[Operation]:
    """Yield what the client does, without end."""
    chance = random.Random(f"{seed} client {client}")
    number = 0
    while True:
        number += 1
        [kind] = chance.choices(list(_KINDS), list(_KINDS.values()))
        size = chance.randint(2, _MOST_OF_A_BATCH) if kind == "batch" else 1
        events = [_event(chance, f"{client}-{number}-{part}") for part in range(size)]
        if kind == "batch" and chance.random() < 0.5:
            # The same event twice in one batch. A made token would not be the same.
            events += [one for one in events if one.token][:1]
        yield Operation(
            kind,
            tuple(events),
            hasty=chance.random() < 0.08,
            abandoned=chance.random() < 0.3,
        )


def _event(chance: random.Random, label: str) -> Event:
    [name] = chance.choices(NAMES, _WEIGHTS)
    delta = chance.randint(1 if name in RISING else -50, 50)
    match chance.choice(["timed", "timed", "timed", "untimed", "dated"]):
        case "untimed":
            bits = chance.getrandbits(128)
            return Event(name, delta, str(UUID(int=bits, version=4)))
        case "dated":
            age = chance.randint(0, _MOST_AGE_SECONDS)
            return Event(name, delta, f"dated {label}", age)
    return Event(name, delta, "")
