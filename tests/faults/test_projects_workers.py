"""Workers as other projects start them: their brokers, content types and queues."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from celery import current_app
from django.core.management import call_command

from counters.models import LastWrite, Namespace
from rollups.models import Process, Rollup, Sample
from rollups.monitor import heartbeat
from rollups.pages import overview
from rollups.trigger.broker import Broker
from tests import programs
from tests.faults.brokers import OwnValkey
from tests.faults.conftest import empty, messages_in
from tests.programs import add_in_another_process, running, wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.own_brokers,
    pytest.mark.django_db(transaction=True),
]
NOBODY = "redis://127.0.0.1:1/0"


def folded() -> bool:
    return not LastWrite.objects.exists() and Rollup.objects.filter(total=3).exists()


@pytest.mark.parametrize("several", [list, ";".join], ids=["list", "text"])
def test_publisher__goes_on_with_the_next_broker(
    valkey: OwnValkey, monkeypatch: pytest.MonkeyPatch, several: type
) -> None:
    empty(valkey.url)
    # The variable would override the setting.
    monkeypatch.delenv("CELERY_BROKER_URL")
    monkeypatch.setattr(
        current_app.conf, "broker_url", several([NOBODY, valkey.url, NOBODY])
    )
    broker = Broker()

    broker.publish([7])
    broker.close()

    assert messages_in(valkey.url) == [[7]]


def test_worker__goes_on_with_the_next_broker(
    committed_namespace: Namespace, valkey: OwnValkey, tmp_path: Path
) -> None:
    empty(valkey.url)
    urls = f"{NOBODY};{valkey.url}"

    with programs.worker(urls, tmp_path / "worker.log"):
        add_in_another_process(urls, counters=1, adds=3)

        wait_until(folded, f"not folded: {tmp_path}")


def test_worker__of_a_project_that_accepts_pickle_folds(
    committed_namespace: Namespace, valkey: OwnValkey, tmp_path: Path
) -> None:
    empty(valkey.url)
    extra = {"DJANGO_SETTINGS_MODULE": "tests.faults.pickle_settings"}
    # Without this Celery does not unpickle as root.
    extra |= {"C_FORCE_ROOT": "1"}

    with programs.worker(valkey.url, tmp_path / "worker.log", **extra):
        add_in_another_process(valkey.url, counters=1, adds=3)

        wait_until(folded, f"not folded: {tmp_path}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-Q", "default,mail"], "start this one with -Q default,mail,rollups"),
        (["-X", "rollups"], "or without rollups in -X"),
    ],
)
def test_worker__that_leaves_our_queue_out_says_so(
    committed_namespace: Namespace,
    valkey: OwnValkey,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    empty(valkey.url)
    Process.objects.all().delete()
    log = tmp_path / "worker.log"

    with programs.worker(valkey.url, log, *options):
        wait_until(
            Process.objects.filter(role=heartbeat.OTHER_WORKER).exists,
            "it does not report",
        )
        with pytest.raises(SystemExit) as ended:
            call_command("counters", "status")

    assert "does not read the queue 'rollups'" in log.read_text()
    assert said in log.read_text()
    assert ended.value.code == 1
    assert (
        "none reads the queue 'rollups': add rollups to -Q" in capsys.readouterr().out
    )
    Process.objects.all().delete()


def test_watch__without_broker_worker_and_beat_is_no_reason_to_warn(
    committed_namespace: Namespace, tmp_path: Path
) -> None:
    Process.objects.all().delete()
    env = programs.environment(NOBODY, ROLLUPS_TRIGGER="off")
    arguments = ["manage.py", "counters", "rollup", "--watch"]

    with running(arguments, tmp_path / "watch.log", os.environ | env):
        wait_until(
            Process.objects.filter(role=heartbeat.WATCH).exists, "it does not report"
        )
        wait_until(
            lambda: overview.measure().level == 0,
            f"it warns: {overview.measure().verdicts}",
        )
        wait_until(Sample.objects.exists, "the plots of /ops stay empty")
        roles = {role.name: len(role.processes) for role in overview.measure().roles}

    assert roles == {"web": 0, "watch": 1}
    Process.objects.all().delete()
