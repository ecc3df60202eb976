"""Read the counts of many counters in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from django.db import connection

from counters.db.statements import fetch
from counters.db.transactions import alone
from counters.models import Namespace
from counters.namespaces import best_effort, lookup
from counters.recording import names
from rollups.folding.cluster_identity import anchored_only
from rollups.reading.read import Reading, ask_for_folds, choose_accuracy, of_best_effort


class CounterName(NamedTuple):
    """The namespace and the name of a counter."""

    namespace: str
    name: str


def get_many(
    wanted: Sequence[CounterName],
    *,
    accuracy: Literal["eventual", "accurate"] = "eventual",
) -> list[Reading]:
    """Return the counts in order; a counter that does not exist has the count 0.

    One statement reads all counters from one snapshot. Best-effort counts come from the
    cache, with one look-up for each namespace. Raises NamespaceNotFound, InvalidValue,
    NoSharedCache, and for accurate counts NotAnchored.
    """
    wanted = [CounterName(one.namespace, names.check(one.name)) for one in wanted]
    found = {name: lookup.get(name) for name in {one.namespace for one in wanted}}
    loose = {name for name, each in found.items() if best_effort.applies_to(each)}
    readings: dict[CounterName, Reading] = {}
    for name in sorted(loose):
        readings |= _best_effort(found[name], wanted)
    durable = [one for one in dict.fromkeys(wanted) if one.namespace not in loose]
    if durable:
        readings |= _durable(durable, found, accuracy)
    return [readings[one] for one in wanted]


def get_or_zero(*, namespace: str, name: str, accuracy: str | None = None) -> Reading:
    """Read a counter as `counts.get` does, but return the count 0 if it does not exist."""
    chosen = choose_accuracy(lookup.get(namespace), accuracy)
    [found] = get_many(
        [CounterName(namespace, name)],
        accuracy="accurate" if chosen == "accurate" else "eventual",
    )
    return found


def _durable(
    wanted: Sequence[CounterName],
    found: dict[str, Namespace],
    accuracy: Literal["eventual", "accurate"],
) -> dict[CounterName, Reading]:
    with anchored_only():
        rows = alone(
            lambda: fetch(
                connection,
                "rollups",
                "read_named_counters"
                if accuracy == "eventual"
                else "read_named_accurately",
                namespace_ids=[found[one.namespace].pk for one in wanted],
                names=[one.name for one in wanted],
            )
        )
    if waiting := [
        (counter_id, as_of) for _, counter_id, _, as_of, pending, _ in rows if pending
    ]:
        ask_for_folds(waiting)
    return {
        wanted[position]: Reading(
            counter_id=counter_id,
            namespace=wanted[position].namespace,
            name=wanted[position].name,
            count=int(count),
            as_of=as_of,
            pending=pending,
            accuracy=accuracy,
            last_write_at=last_write_at,
            exists=counter_id is not None,
        )
        for position, counter_id, count, as_of, pending, last_write_at in rows
    }


def _best_effort(
    namespace: Namespace, wanted: Sequence[CounterName]
) -> dict[CounterName, Reading]:
    counters = [one for one in wanted if one.namespace == namespace.name]
    # Before the read, so that every add before this time is in the counts.
    now = datetime.now(UTC)
    counts = best_effort.read_many(namespace, [one.name for one in counters])
    return {
        one: replace(
            of_best_effort(namespace, one.name, counts.get(one.name, 0), as_of=now),
            exists=one.name in counts,
        )
        for one in counters
    }
