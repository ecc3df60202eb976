"""The numbers: exposed, summed over processes that live and that have ended, and named
right in the files for Grafana and Prometheus."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from celery.signals import worker_ready
from django.db import OperationalError
from django.test import Client
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from counters import events
from counters.models import Namespace
from rollups.folding.fold import fold
from rollups.folding.sweep import sweep
from rollups.monitor import metrics, prometheus
from rollups.monitor.heartbeat import Reporter
from rollups.trigger import publisher
from tests.acceptance.conftest import free_port
from tests.programs import TIMEOUT_SECONDS, environment, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = re.compile(r"\b(?:rollups|counters)_[a-z_]+\b")
pytestmark = pytest.mark.django_db(transaction=True)


def exposed() -> dict[str, float]:
    """Return every sample, by name and labels."""
    publisher.get().count_up()
    found = {}
    for family in text_string_to_metric_families(prometheus.expose().decode()):
        assert family.documentation, f"{family.name} has no help text"
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = (
                sample.value
            )
    return found


@pytest.fixture
def metrics_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.ROLLUPS_METRICS_DIR = tmp_path
    return tmp_path


def count_in_another_process(directory: Path, program: str) -> None:
    subprocess.run(
        [sys.executable, "-c", f"from rollups.monitor import metrics\n{program}"],
        cwd=ROOT,
        env={"PROMETHEUS_MULTIPROC_DIR": str(directory), "PYTHONPATH": "."},
        check=True,
        timeout=30,
    )


def test_metrics__count_what_happened(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    report = Reporter("worker").report
    report()
    before = exposed()

    ids = {
        answer.counter_id
        for answer in events.add_many(
            [events.NewEvent("test", f"c{i % 3}") for i in range(30)]
        )
    }
    pending = exposed()
    fold([one for one in ids if one])
    sweep()
    report()
    after = exposed()

    def gained(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert gained("counters_adds_total") == 30
    assert gained("rollups_folds_total") == 1
    assert gained("rollups_events_folded_total") == 30
    assert gained("rollups_fold_seconds_count") == 1
    assert gained("rollups_sweeps_total") == 1
    assert pending["rollups_pending_counters"] == 3
    assert pending["rollups_lag_seconds"] > 0
    assert after["rollups_pending_counters"] == 0
    assert after["rollups_last_sweep_age_seconds"] < 60
    assert after["rollups_database_up"] == 1


def test_metrics__add_up_like_the_publishers(committed_namespace: Namespace) -> None:
    made = publisher.get()
    before = exposed()
    for number in range(50):
        events.add(namespace="test", name=f"c{number % 7}")
    wait_until(lambda: not made.waiting + made.counts.publishing, "triggers still wait")
    after = exposed()

    def total(samples: dict[str, float], name: str) -> float:
        return sum(value for key, value in samples.items() if key.split("{")[0] == name)

    def gained(name: str) -> float:
        full = f"rollups_trigger_{name}_total"
        return total(after, full) - total(before, full)

    lost = gained("failed") + gained("dropped")
    assert gained("requested") == 50
    assert gained("coalesced") + gained("published") + lost == 50


def test_labels__do_not_grow_with_the_counters(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    events.add(namespace="test", name="first")
    series = set(exposed())

    events.add_many([events.NewEvent("test", f"more {i}") for i in range(300)])

    assert set(exposed()) == series


def test_exposition__adds_up_processes_that_have_ended(metrics_dir: Path) -> None:
    once = "metrics.count_fold(events=5, seconds=0.004); metrics.count_message('sweep')"
    for _ in range(3):
        count_in_another_process(metrics_dir, once)

    first = exposed()
    again = exposed()

    assert first["rollups_messages_received_total{source=sweep}"] == 3
    assert first["rollups_fold_seconds_bucket{le=0.005}"] == 3
    assert again["rollups_messages_received_total{source=sweep}"] == 3
    assert sorted(path.name for path in metrics_dir.iterdir()) == [
        "counter_0.db",
        "histogram_0.db",
        "lock",
    ]


def test_exposition__forgets_the_gauges_of_processes_that_have_ended(
    metrics_dir: Path,
) -> None:
    count_in_another_process(
        metrics_dir,
        "metrics.count_triggers({}, waiting=9, breaker_is_open=True)",
    )

    assert exposed().get("rollups_trigger_waiting", 0) == 0


def test_exposition__without_a_database_still_tells_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OperationalError

    monkeypatch.setattr("rollups.monitor.status.measure", fail)

    samples = exposed()

    assert samples["rollups_database_up"] == 0
    assert "rollups_pending_counters" not in samples
    assert "rollups_folds_total" not in samples
    assert "rollups_fold_seconds_count" in samples


def test_page__is_what_prometheus_reads(client: Client) -> None:
    answer = client.get("/metrics")

    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    assert b"# HELP rollups_lag_seconds" in answer.content


def known_names() -> set[str]:
    names = {*prometheus.DATABASE_GAUGES, *database_counters(), "rollups_database_up"}
    for name in families():
        suffixes = ("", "_total", "_bucket", "_sum", "_count")
        names |= {f"{name}{suffix}" for suffix in suffixes}
    return names


def database_counters() -> set[str]:
    return {f"rollups_{name}_total" for name in metrics.DATABASE_COUNTERS}


def families() -> set[str]:
    return {
        family.name
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    }


def test_dashboard__names_metrics_that_exist() -> None:
    dashboard = json.loads((ROOT / "ops" / "grafana-dashboard.json").read_text())
    queries = [
        target["expr"] for panel in dashboard["panels"] for target in panel["targets"]
    ]

    assert len(queries) >= 10
    named = {name for query in queries for name in NAME.findall(query)}
    assert named <= known_names()


def test_alerts__name_metrics_that_exist() -> None:
    text = (ROOT / "ops" / "prometheus-alerts.yml").read_text()
    rules: list[Any] = re.split(r"(?m)^ {6}- alert: ", text)[1:]

    assert len(rules) >= 6
    for rule in rules:
        expression = rule.split("expr:")[1].split("for:")[0]
        named = set(NAME.findall(expression))
        assert named, rule
        assert named <= known_names(), rule
        assert "severity:" in rule
        assert "summary:" in rule


def test_every_metric__is_in_the_dashboard_or_an_alert() -> None:
    shown = NAME.findall(
        (ROOT / "ops" / "grafana-dashboard.json").read_text()
        + (ROOT / "ops" / "prometheus-alerts.yml").read_text()
    )

    missing = {
        family
        for family in families() | database_counters()
        if not any(name.startswith(family) for name in shown)
    }
    # How often there is a sweep is a matter of its age.
    assert missing == {"rollups_sweeps_total"}


def test_database_counters__are_not_added_up_over_web_processes() -> None:
    """Every web process answers the same numbers, so a sum would be too large."""
    files = (ROOT / "ops" / "grafana-dashboard.json").read_text()
    files += (ROOT / "ops" / "prometheus-alerts.yml").read_text()

    for name in database_counters() - {"rollups_sweeps_total"}:
        [*uses] = re.findall(rf"(\w+)\(rate\({name}", files)
        assert uses, name
        assert set(uses) == {"max"}, name


def test_healed__of_a_worker_elsewhere_is_told_by_the_web(metrics_dir: Path) -> None:
    """Its container shares no directory with the web's, so only the database knows."""
    before = exposed()

    program = (
        "import django; django.setup()\n"
        "from rollups.monitor import heartbeat, metrics\n"
        "metrics.count_healed(700); metrics.count_fold(events=5, seconds=0.004)\n"
        "heartbeat.Reporter('worker').report()\n"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment("redis://127.0.0.1:1/0")
        | {
            "DJANGO_SETTINGS_MODULE": "counters_project.settings",
            "METRICS_DIR": str(metrics_dir / "elsewhere"),
        },
        check=True,
        timeout=TIMEOUT_SECONDS,
    )
    after = exposed()

    for name, gained in (("healed", 700), ("folds", 1), ("events_folded", 5)):
        full = f"rollups_{name}_total"
        assert after[full] - before[full] == gained


def test_worker__serves_the_numbers_of_its_machine(metrics_dir: Path) -> None:
    count_in_another_process(metrics_dir, "metrics.count_message('sweep')")
    port = free_port()

    prometheus.serve(port)

    told = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    assert 'rollups_messages_received_total{source="sweep"} 1.0' in told
    assert "rollups_lag_seconds" not in told


def test_worker__serves_them_at_its_start_where_a_port_is_set(
    metrics_dir: Path, settings: Settings
) -> None:
    class Worker:
        pool = None

    settings.ROLLUPS_METRICS_PORT = free_port()

    worker_ready.send(sender=Worker)

    url = f"http://127.0.0.1:{settings.ROLLUPS_METRICS_PORT}/metrics"
    assert urlopen(url, timeout=10).status == 200


def test_worker__whose_port_is_taken_says_so_and_goes_on(
    metrics_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104
        port = taken.getsockname()[1]
        prometheus.serve(port)

    assert f"ROLLUPS_METRICS_PORT={port} cannot be used" in caplog.text
