"""Reading counts: eventual from the rollup, accurate with the pending events added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import connection

from counters import names, namespaces
from counters.errors import CounterNotFound, InvalidValue
from counters.statements import fetch
from rollups import trigger

Accuracy = Literal["eventual", "accurate"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A count and how fresh it is."""

    counter_id: int
    namespace: str
    name: str
    count: int
    # Everything committed up to this instant is in the count (UTC).
    as_of: datetime
    # True where events wait for a fold; an accurate count holds them, an eventual one not.
    pending: bool
    accuracy: Accuracy
    last_write_at: datetime | None


def get(*, namespace: str, name: str, accuracy: str | None = None) -> Reading:
    """Return a counter's count, by the namespace's counter type if no accuracy is given.

    One statement, so one snapshot; accurate reads see the caller's own uncommitted adds.
    A pending counter is triggered again: reading it is reason enough to fold it. Raises
    NamespaceNotFound, CounterNotFound, InvalidValue.
    """
    found = namespaces.get(namespace)
    names.check(name)
    chosen = check_accuracy(accuracy or found.counter_type)
    rows = fetch(
        connection, "rollups", f"read_{chosen}", namespace_id=found.pk, name=name
    )
    if not rows:
        raise CounterNotFound(namespace, name)
    counter_id, count, as_of, pending, last_write_at = rows[0]
    if pending:
        trigger.request([counter_id])
    return Reading(
        counter_id, namespace, name, int(count), as_of, pending, chosen, last_write_at
    )


def check_accuracy(accuracy: str) -> Accuracy:
    if accuracy == "eventual":
        return "eventual"
    if accuracy == "accurate":
        return "accurate"
    raise InvalidValue("accuracy", accuracy, "one of eventual, accurate")
