"""Write and read places in a list as opaque text, for `?cursor=`."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from counters.errors import InvalidValue
from rollups.reading.listing import Place

READERS: dict[str, Any] = {
    "name": str,
    "count": lambda text: Decimal(int(text)),
    "last_write_at": lambda text: _in_utc(datetime.fromisoformat(text)),
}


def write(place: Place, ordering: str) -> str:
    fields = [ordering, str(place.value), place.counter_id, place.backwards]
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


def read(cursor: str, ordering: str) -> Place:
    """Return the place of a cursor. Raise InvalidValue if it is not of this ordering."""
    try:
        written_for, value, counter_id, backwards = json.loads(
            base64.urlsafe_b64decode(cursor.encode())
        )
        if written_for != ordering:
            raise ValueError(written_for)
        place = Place(
            READERS[ordering.removeprefix("-")](value), int(counter_id), bool(backwards)
        )
        _check_storable(place)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise InvalidValue(
            "cursor",
            cursor,
            f"a cursor that a list with ordering={ordering} answered; take it from there",
        ) from error
    return place


def _in_utc(at: datetime) -> datetime:
    """Return the instant in UTC: PostgreSQL accepts no offset beyond 16 hours."""
    if at.tzinfo is None:
        raise ValueError(at)
    return at.astimezone(UTC)


def _check_storable(place: Place) -> None:
    """Raise ValueError for a value that PostgreSQL cannot compare with."""
    if isinstance(place.value, str) and "\0" in place.value:
        raise ValueError(place.value)
    str(place.value).encode()
    if not -(2**63) <= place.counter_id < 2**63:
        raise ValueError(place.counter_id)
    if isinstance(place.value, Decimal) and abs(place.value) >= Decimal(10) ** 40:
        raise ValueError(place.value)
