"""What the read side does when a write is announced; loaded when the app starts."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from counters.signals import events_committed
from rollups import trigger


@receiver(events_committed)
def fire_trigger(*, counter_ids: frozenset[int], **_: Any) -> None:
    trigger.request(counter_ids)
