"""Settings that would lose triggers or hang writers stop the start, with an id."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings

from rollups import checks
from rollups.checks import check_names, check_trigger

BAD: list[tuple[str, Any, str]] = [
    ("CELERY_TASK_ALWAYS_EAGER", True, "rollups.W002"),
    ("CELERY_BROKER_URL", "memory://", "rollups.E004"),
    ("CELERY_BROKER_URL", "sqs://a:b@", "rollups.E004"),
    ("CELERY_BROKER_URL", "redis://[", "rollups.E004"),
    ("CELERY_BROKER_URL", ["redis://one/0", "memory://"], "rollups.E004"),
    ("CELERY_BROKER_URL", "redis://one/0;sqs://a:b@", "rollups.E004"),
]


def ids() -> list[str | None]:
    return [found.id for found in check_trigger()]


def test_checks__find_nothing_in_the_settings_as_they_are() -> None:
    assert ids() == []
    assert check_names() == []


def test_checks__name_the_setting_that_a_misspelt_one_is_near_to(
    settings: Settings,
) -> None:
    settings.ROLLUPS_TRIGER = "inline"

    [found] = check_names()

    assert found.id == "rollups.W011"
    assert found.msg == (
        "The setting ROLLUPS_TRIGER is unknown and has no effect. Is ROLLUPS_TRIGGER meant?"
    )
    assert "ROLLUPS_QUEUE" in str(found.hint)


@pytest.mark.parametrize(
    "brokers",
    [
        ["redis://10.0.0.1/0", "redis://10.0.0.2/0"],
        ("amqp://one//",),
        "redis://one/0;redis://two/0",
    ],
)
def test_checks__take_several_brokers(settings: Settings, brokers: object) -> None:
    settings.CELERY_BROKER_URL = brokers

    assert ids() == []


@pytest.mark.parametrize(("name", "value", "expected"), BAD)
def test_checks__refuse(
    settings: Settings, name: str, value: object, expected: str
) -> None:
    setattr(settings, name, value)

    [found] = check_trigger()

    assert found.id == expected
    assert found.hint
    assert name in found.msg


@pytest.mark.parametrize(
    ("mode", "url", "expected"),
    [
        ("inline", "redis://broker.example:6379/0", ["rollups.W005"]),
        ("inline", "amqp://10.0.0.1//", []),
        ("inline", "redis://[::1]:6379/0", []),
        ("background", "redis://broker.example:6379/0", []),
    ],
)
def test_checks__warn_of_a_name_that_a_writer_would_look_up(
    settings: Settings, mode: str, url: str, expected: list[str]
) -> None:
    settings.ROLLUPS_TRIGGER = mode
    settings.CELERY_BROKER_URL = url

    assert ids() == expected


def test_checks__ask_for_no_broker_where_triggers_are_off(settings: Settings) -> None:
    settings.ROLLUPS_TRIGGER = "off"
    del settings.CELERY_BROKER_URL

    assert ids() == []


def test_checks__miss_a_broker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    del settings.CELERY_BROKER_URL
    conf = SimpleNamespace(broker_write_url=None)
    monkeypatch.setattr(checks, "current_app", SimpleNamespace(conf=conf))

    [found] = check_trigger()

    assert found.id == "rollups.E004"
    assert "is not set" in found.msg
