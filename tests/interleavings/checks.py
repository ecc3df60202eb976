"""What must hold after every order."""

from __future__ import annotations

import traceback

from django.db import OperationalError

from counters import events as record
from counters.errors import CounterNotFound
from counters.models import Counter, Event, LastWrite
from rollups import counts as reading
from rollups.folding import audit, drain, maintenance
from tests.interleavings.explorer import Operation, Order
from tests.interleavings.operations import World

_MOST_FOLDS = 30


def check(world: World, order: Order) -> list[str]:
    """Fold everything; return a line for each thing that is wrong."""
    found = list(world.problems)
    found += [
        f"{one.name} failed: {''.join(traceback.format_exception(one.error))}"
        for one in order.operations
        if one.error is not None and not _may_fail(world, one)
    ]
    if not _is_cleared(world) and not world.deletions:
        found += _check_reads(world)
    maintenance.clear_away()
    for _ in range(_MOST_FOLDS):
        if not LastWrite.objects.exists():
            break
        for _ in drain.drain():
            pass
    else:
        found.append("something stays pending, however often it is folded")
    names = {one.name for one in world.acknowledged}
    for name in sorted(names):
        found += _check_count(world, order, name)
    for batch in audit.audit():
        found += [f"the audit finds {one}" for one in batch if not one.is_right]
    known = Counter.objects.values_list("pk", flat=True)
    if orphans := Event.objects.exclude(counter_id__in=list(known)).count():
        found.append(f"{orphans} event(s) are left of a counter that is gone")
    if not world.deletions:
        found += _check_repeats(world)
    return found


def _may_fail(world: World, operation: Operation) -> bool:
    if operation.gave_up:
        return isinstance(operation.error, OperationalError)
    return bool(world.deletions) and isinstance(operation.error, CounterNotFound)


def _is_cleared(world: World) -> bool:
    return any(one.delta <= 0 for one in world.acknowledged)


def _check_count(world: World, order: Order, name: str) -> list[str]:
    deletions = world.deletions if name == "hits" else []
    acknowledged = [one for one in world.acknowledged if one.name == name]
    certain = [
        one
        for one in acknowledged
        if all(_began(one.by) > deletion.ended for deletion in deletions)
    ]
    possible = [
        one
        for one in acknowledged
        if not any(_ended(one.by) < deletion.began for deletion in deletions)
    ]
    found = []
    for accuracy in ("eventual", "accurate"):
        try:
            read = reading.get(namespace="test", name=name, accuracy=accuracy)
        except CounterNotFound:
            return [f"{name} is gone"] if certain else []
        if read.pending:
            found.append(f"{name} is pending still ({accuracy})")
        if not deletions:
            if read.count != (expected := sum(one.delta for one in acknowledged)):
                found.append(
                    f"{name} is {read.count} ({accuracy}), not {expected}:"
                    f" {_difference(world, order, name, read.count, expected)}"
                )
        elif not _is_cleared(world):
            found += _check_bits(
                f"{name} ({accuracy})",
                read.count,
                certain=sum(one.delta for one in certain),
                possible=sum(one.delta for one in possible),
            )
    return found


def _check_reads(world: World) -> list[str]:
    """An accurate read holds what was acknowledged before it began."""
    found = []
    for reader, name, count in world.reads:
        events = [one for one in world.acknowledged if one.name == name]
        found += _check_bits(
            "an accurate read",
            count,
            certain=sum(one.delta for one in events if _ended(one.by) < reader.began),
            possible=sum(one.delta for one in events if _began(one.by) <= reader.ended),
        )
    return found


def _check_bits(what: str, count: int, *, certain: int, possible: int) -> list[str]:
    if count < 0 or certain & ~count or count & ~possible:
        return [f"{what} is {count:b}, not between {certain:b} and {possible:b}"]
    return []


def _difference(
    world: World, order: Order, name: str, count: int, expected: int
) -> str:
    if _is_cleared(world) or count < 0:
        return "see the steps"
    lost = [
        one.by.name if one.by else "an event from before"
        for one in world.acknowledged
        if one.name == name and one.delta & expected & ~count
    ]
    return f"lost of {lost}" if lost else "counted twice, or never acknowledged"


def _check_repeats(world: World) -> list[str]:
    """Each token is a duplicate now, and changes nothing."""
    found = []
    for one in world.acknowledged:
        if one.token is None:
            continue
        again = record.add(
            namespace="test",
            name=one.name,
            delta=one.delta,
            token=one.token,
            generation_time=one.generation_time,
        )
        if not again.duplicate:
            found.append(f"the token of {one} counts again")
    return found


def _began(operation: Operation | None) -> int:
    return operation.began if operation else 0


def _ended(operation: Operation | None) -> int:
    return operation.ended if operation else 0
