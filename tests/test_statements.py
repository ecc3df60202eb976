"""Every statement file is executed once by itself, so that none can rot unseen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from psycopg import sql
from psycopg.types.json import Jsonb

from counters.db.statements import load
from counters.models import Namespace

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(ROOT.glob("*/sql/*.sql"))
# What migrations run, and so every test with a database.
SCHEMA = sorted(ROOT.glob("*/sql/schema/*.sql"))
NOW = datetime.now(UTC)
ONE_EVENT: dict[str, Any] = {
    "name": "hits",
    "token": uuid4(),
    "event_time": NOW,
    "delta": 1,
}
PARAMETERS: dict[str, Any] = {
    "counters/add_event": ONE_EVENT,
    "counters/add_event_of_untimed_token": ONE_EVENT
    | {"accept_past": timedelta(days=1)},
    "counters/add_event_without_token": (NOW, 1, 1, "hits"),
    "counters/add_events_without_tokens": {
        "namespace_ids": [1],
        "names": ["hits"],
        "event_times": [None],
        "deltas": [1],
    },
    "counters/add_events": {
        "namespace_ids": [1],
        "names": ["hits"],
        "tokens": [uuid4()],
        "event_times": [NOW],
        "deltas": [1],
        "accept_pasts": [None],
    },
    "counters/count_some": {"namespace_ids": [1], "most": 10},
    "counters/create_counters": {"namespace_ids": [1], "names": ["hits"]},
    "counters/delete_counters": {"counter_ids": [1]},
    "counters/drop_expired_claims": {"now": NOW, "batch_rows": 10},
    "counters/find_first_events": {
        "counter_ids": [1],
        "tokens": [uuid4()],
        "sinces": [NOW],
        "untils": [NOW],
        "used_ats": [NOW],
    },
    "counters/find_orphans": {"most": 10},
    "counters/list_partitions": {},
    "counters/list_strays": {"most": 10},
    "counters/list_unfinished_indexes": {"partition": "counters_event_default"},
    "counters/measure_indexes": {
        "partitions": ["counters_event_default"],
        "least_bytes": 0,
        "bloated": 1.2,
    },
    "counters/measure_partitions": {},
    "rollups/audit_rollups": {"after": 0, "most": 10, "namespace_id": None},
    "rollups/create_rollups": {"counter_ids": [1]},
    "rollups/export_events": {"namespace_id": None, "since": None, "until": NOW},
    "rollups/export_series": {"namespace_id": None, "since": NOW, "until": None},
    "rollups/export_totals": {"namespace_id": None},
    "rollups/find_by_prefix": {"prefix": "hi", "most": 10},
    "rollups/find_pending": {"namespace_id": None, "prefix": "", "most": 10},
    "rollups/forget_processes": {"silent": timedelta(minutes=1), "ended": uuid4()},
    "rollups/measure_counter_lags": {"counter_ids": [1]},
    "rollups/measure_lag_spread": {},
    "rollups/read_latest_events": {"counter_id": 1, "most": 10},
    "rollups/read_samples": {"since": NOW, "step": timedelta(minutes=1)},
    "rollups/read_sparklines": {"counter_ids": [1], "since": NOW},
    "rollups/take_sample": {"gap": timedelta(0), "keep": timedelta(days=1)},
    "rollups/update_process": {
        "id": uuid4(),
        "breaker_is_open": False,
        "waiting": 0,
        "numbers": Jsonb({"adds": 1}),
    },
    "rollups/fold_events": {"counter_ids": [1]},
    "rollups/list_busiest": {"most": 10, "namespace_id": None},
    "rollups/lock_for_clear": {"name": "hits"},
    "rollups/lock_rollups": {"counter_ids": [1]},
    "rollups/measure_lag": {},
    "rollups/bound_fold": {"counter_ids": [1], "most": 10},
    "rollups/fold_events_up_to": {"counter_ids": [1], "bounds": ["1000"]},
    "rollups/measure_status": {"alive": timedelta(seconds=30)},
    "rollups/sum_processes": {},
    "rollups/measure_writes": {},
    "rollups/prepare_fold": {"counter_ids": [1]},
    "rollups/read_named_counters": {"namespace_ids": [1], "names": ["hits"]},
    "rollups/read_named_accurately": {"namespace_ids": [1], "names": ["hits"]},
    "rollups/read_total": {"name": "hits", "since": None, "until": NOW},
    "rollups/read_accurate": {"name": "hits"},
    "rollups/read_counters": {"counter_ids": [1]},
    "rollups/read_eventual": {"name": "hits"},
    "rollups/read_series": {
        "counter_id": 1,
        "bucket": "hour",
        "since": NOW,
        "until": NOW,
    },
    "rollups/reanchor_rollups": {"counter_ids": [1]},
    "rollups/record_failure": {
        "counter_id": 1,
        "error": "DataError",
        "first": timedelta(seconds=1),
        "longest": timedelta(hours=1),
    },
    "rollups/record_sweep": {
        "pending": 1,
        "overdue": 1,
        "oldest_lag": timedelta(seconds=1),
        "keep": timedelta(days=1),
    },
    "rollups/find_keeper": {"age": timedelta(days=30), "likely": [1]},
    "rollups/find_dropped": {"since": NOW},
    "rollups/remove_settled": {"counter_ids": [1]},
    "rollups/repair_rollups": {"counter_ids": [1]},
    "rollups/select_pending": {"grace": timedelta(0), "most": 10},
}
NAMED: dict[str, dict[str, sql.Composable]] = {
    "counters/make_partition": {"partition": sql.Identifier("counters_event_x")},
    "counters/take_strays": {"partition": sql.Identifier("counters_event_x")},
    "counters/attach_partition": {"partition": sql.Identifier("counters_event_x")},
    "rollups/close_buckets": {"partition": sql.Identifier("counters_event_default")},
    "rollups/find_keeper": {"partition": sql.Identifier("counters_event_default")},
    "rollups/find_late_events": {
        "partition": sql.Identifier("counters_event_default"),
        "snapshot": sql.Literal("10:20:15"),
        "counters": sql.Literal(1),
        "events": sql.Literal(100),
    },
    "rollups/inspect_partition": {
        "partition": sql.Identifier("counters_event_default")
    },
}


# What must have run before.
BEFORE = dict.fromkeys(
    ("counters/attach_partition", "counters/take_strays"), "make_partition"
)


@pytest.mark.parametrize(
    "file", FILES, ids=lambda file: f"{file.parts[-3]}/{file.stem}"
)
def test_statement__runs(namespace: Namespace, file: Path) -> None:
    app, name = file.parts[-3], file.stem
    key = f"{app}/{name}"
    statement: Any = load(app, name)
    parameters = PARAMETERS.get(key)
    if key in NAMED:
        bounds = {
            bound: sql.Literal(f"2040-01-0{day}T00:00:00Z")
            for day, bound in enumerate(("since", "until"), start=1)
        }
        before = [load(app, BEFORE[key])] if key in BEFORE else []
        statement = sql.SQL(";".join([*before, statement])).format(
            **NAMED[key], **bounds
        )
    else:
        assert parameters is not None, f"{file}: give its parameters in PARAMETERS"
        if "%(namespace_id)s" in statement:
            parameters = parameters | {"namespace_id": namespace.pk}

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


@pytest.mark.parametrize(
    "file",
    [*FILES, *SCHEMA],
    ids=lambda file: str(file.relative_to(ROOT).with_suffix("")),
)
def test_statement__has_a_header_and_is_used(file: Path) -> None:
    header = file.read_text().splitlines()[0]
    sources = [
        path.read_text()
        for path in ROOT.glob("*/**/*.py")
        if path.relative_to(ROOT).parts[0] in {"counters", "rollups"}
    ]

    assert header.startswith("-- "), f"{file}: the first line says what it is for"
    # Two reads and three exports are chosen from by the last part of their names.
    verb = file.stem.split("_")[0]
    name = f"schema/{file.stem}" if file in SCHEMA else file.stem
    assert any(f'"{name}"' in text or f'f"{verb}_{{' in text for text in sources), (
        f"{file}: nothing runs it"
    )
