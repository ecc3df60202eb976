"""Circulation: a counter that is still pending after its fold is folded again soon."""

from __future__ import annotations

from collections.abc import Collection

from django.core.cache import cache

# A counter under constant load is folded again this often, however many triggers it gets.
PAUSE_SECONDS = 0.05


def take_turn(counter_ids: Collection[int]) -> list[int]:
    """Return those counters that nobody has put into circulation within the last pause.

    The caller is to enqueue them once, to run after PAUSE_SECONDS. Every message for a
    hot counter finds it pending; were each to enqueue it, the queue would grow without
    end. Two workers that ask at the same instant may both take the turn: one message more.
    """
    if not counter_ids:
        return []
    keys = {
        f"rollups.circulating.{counter_id}": counter_id for counter_id in counter_ids
    }
    taken = cache.get_many(keys)
    free = {key: counter_id for key, counter_id in keys.items() if key not in taken}
    if free:
        cache.set_many(dict.fromkeys(free, 1), timeout=PAUSE_SECONDS)
    return sorted(free.values())
