"""The migrations of `counters`, and one more, as a next version might bring."""

from __future__ import annotations

from counters import migrations

__path__ = [*migrations.__path__, *__path__]
