"""Which messages are judged by us: not those of a project's other tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rollups.worker.consumer import is_for_us


def message(**fields: Any) -> Any:
    return SimpleNamespace(
        **{
            "headers": {"task": "shop.send_mail", "id": "1"},
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"headers": {}}, False),
        ({"headers": {"task": ["rollups.rollup"]}}, False),
        ({"delivery_info": {"routing_key": "rollups"}}, True),
        ({"headers": {"task": "rollups.sweep"}}, True),
        ({"headers": None, "delivery_info": None}, False),
        ({"headers": None, "delivery_info": {"routing_key": "rollups"}}, True),
    ],
)
def test_message__is_ours_by_its_queue_or_its_task(
    fields: dict[str, Any], expected: bool
) -> None:
    assert is_for_us(message(**fields), "rollups") is expected
