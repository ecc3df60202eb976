"""Signals of the write side."""

from __future__ import annotations

from django.dispatch import Signal

# Sent once per transaction, after its commit, with `counter_ids: frozenset[int]`: every
# counter that the transaction added to. It may name a counter whose add was rolled back
# with a savepoint; a receiver must take that as "look at this counter", no more. And with
# `events: int`: how many events were recorded, those rolled back with a savepoint as well.
# Every add sends it, so its receivers are cached.
events_committed = Signal(use_caching=True)

# Sent inside the transaction that changes a namespace, with `namespace: Namespace` as it is to
# be: it is about to accept older events than before. A receiver that knows that some of those are gone,
# so that a duplicate could not be recognized, raises InvalidValue.
window_widening = Signal()

# Sent inside the transaction that deletes counters, with `counter_ids: list[int]`: a receiver that
# keeps rows about counters deletes them now.
counters_deleting = Signal()
