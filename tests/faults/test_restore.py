"""A real dump, restored into another cluster, with the commands that an operator has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from counters_project.embedded import postgres, servers
from counters_project.embedded.account import find_account, own_private_dir
from counters_project.embedded.data_dir import cluster_dir
from tests.programs import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.own_brokers, pytest.mark.timeout(300)]

# Enough that no id of the second cluster comes near those of the first one.
BURNT_IDS = 3_000


@dataclass(frozen=True)
class Cluster:
    """A service's database, and its commands."""

    urls: servers.Urls

    def manage(self, *words: str, fails: bool = False) -> str:
        ended = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=os.environ
            | {
                "DATABASE_URL": self.urls.database_url,
                "CELERY_BROKER_URL": self.urls.broker_url,
                "CACHE_URL": self.urls.cache_url,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert bool(ended.returncode) is fails, ended.stdout + ended.stderr
        return ended.stderr if fails else ended.stdout

    def do(self, *commands: str) -> str:
        """Run several commands in one process."""
        calls = [f"call_command(*{command.split()!r})" for command in commands]
        load = "from django.core.management import call_command"
        return self.manage("shell", "--no-imports", "-c", "\n".join([load, *calls]))

    def run(self, statement: str) -> None:
        with psycopg.connect(self.urls.database_url, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Cluster]]:
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    with servers.running(first) as old, servers.running(second) as new:
        yield [Cluster(old), Cluster(new)]


def add(name: str, delta: int, *, namespace: str = "demo") -> str:
    return f"counters add {namespace} {name} {delta} --token {name}{delta}"


def get(name: str, accuracy: str, *, namespace: str = "demo") -> str:
    return f"counters get {namespace} {name} --accuracy {accuracy} --json"


def counts(printed: str) -> list[int]:
    """Return what the `get` commands answered."""
    return [
        json.loads(line)["count"]
        for line in printed.splitlines()
        if line.startswith('{"')
    ]


def dump_and_restore(old: Cluster, new: Cluster, directory: Path) -> None:
    programs, file = postgres._programs_dir(), directory / "dump"
    subprocess.run(
        [programs / "pg_dump", "-Fc", "-f", file, "-d", old.urls.database_url],
        check=True,
    )
    subprocess.run(
        [programs / "pg_restore", "-d", new.urls.database_url, file], check=True
    )


def with_database(cluster: Cluster, name: str) -> Cluster:
    """Return the cluster with another, empty database."""
    cluster.run(f"CREATE DATABASE {name}")
    url = cluster.urls.database_url.replace("/counters?", f"/{name}?")
    return Cluster(replace(cluster.urls, database_url=url))


def copy_data(source: Cluster, target: Cluster, *options: str) -> None:
    """Copy by pg_dump and psql, which continues after rows that already exist."""
    programs = postgres._programs_dir()
    dump = subprocess.run(
        [programs / "pg_dump", *options, "-d", source.urls.database_url],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [programs / "psql", "-q", "-d", target.urls.database_url],
        input=dump.stdout,
        check=True,
        capture_output=True,
    )


def test_restore__of_the_data_alone_into_a_migrated_database_is_noticed(
    clusters: list[Cluster],
) -> None:
    old, new = (with_database(cluster, "migrated") for cluster in clusters)
    new.manage("migrate")
    old.do(
        *(
            "migrate",
            "counters create-namespace mine",
            add("hits", 5, namespace="mine"),
        ),
        "counters rollup",
    )

    # psql keeps the anchor of the new cluster: the old one's row is a duplicate.
    copy_data(old, new, "--data-only", "--disable-triggers")

    new.do(add("hits", 100, namespace="mine"))
    assert "manage.py counters reanchor" in new.manage("counters", "rollup", fails=True)
    done = new.do(
        "counters reanchor",
        "counters rollup",
        get("hits", "eventual", namespace="mine"),
    )
    assert "Reanchored" in done
    assert counts(done) == [105]


def test_restore__back_into_the_first_cluster_is_noticed(
    clusters: list[Cluster],
) -> None:
    first, second = (with_database(cluster, "there") for cluster in clusters)
    back = with_database(clusters[0], "back")
    first.do(
        *(
            "migrate",
            "counters create-namespace mine",
            add("hits", 5, namespace="mine"),
        ),
        "counters rollup",
    )
    copy_data(first, second)
    second.do(add("hits", 100, namespace="mine"))
    # The first fold notices that it is in another cluster.
    second.manage("counters", "rollup", fails=True)

    copy_data(second, back)

    back.do(add("hits", 1000, namespace="mine"))
    assert "manage.py counters reanchor" in back.manage(
        "counters", "rollup", fails=True
    )
    done = back.do(
        "counters reanchor",
        "counters rollup",
        get("hits", "eventual", namespace="mine"),
    )
    assert counts(done) == [1105]


def test_restore__from_a_dump_is_noticed_and_put_right(
    clusters: list[Cluster], tmp_path: Path
) -> None:
    old, new = clusters
    old.do("migrate", "counters create-namespace demo")
    old.run(
        "DO $$ BEGIN FOR i IN 1.."
        f"{BURNT_IDS} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    )
    old.do(add("hits", 5), "counters rollup", add("hits", 7), add("never-folded", 3))

    dump_and_restore(old, new, tmp_path)

    new.do(add("hits", 100))
    assert "manage.py counters reanchor" in new.manage("counters", "rollup", fails=True)
    assert "reanchor" in new.manage(*get("hits", "accurate").split(), fails=True)
    eventual = json.loads(new.manage(*get("hits", "eventual").split()))
    assert (eventual["count"], eventual["pending"]) == (5, True)
    status = subprocess.run(
        [sys.executable, "manage.py", "counters", "status"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": new.urls.database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert status.returncode == 2
    assert "reanchor" in status.stdout

    done = new.do(
        *(
            "counters reanchor",
            get("hits", "accurate"),
            add("hits", 1000),
            "counters rollup",
        ),
        *(get("hits", "eventual"), get("never-folded", "eventual")),
    )
    assert "Reanchored 2 counters from 4 events." in done
    assert counts(done) == [112, 1112, 3]
    # Past the ids of the first cluster: nothing of the dump may be folded once more.
    new.run(
        "DO $$ BEGIN FOR i IN 1.."
        f"{2 * BURNT_IDS} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    )
    done = new.do(
        *(add("hits", 10000), add("never-folded", 30), "counters rollup"),
        *(get("hits", "eventual"), get("never-folded", "eventual"), "counters verify"),
    )
    assert counts(done) == [11112, 33]
    assert "0 differ" in done


def test_restore__of_a_physical_copy_needs_nothing(
    clusters: list[Cluster], tmp_path: Path
) -> None:
    """`pg_basebackup` of a cluster with pending events; the copy simply goes on."""
    old, _ = clusters
    old.do(
        *(
            "counters create-namespace copied",
            add("copied", 5, namespace="copied"),
            "counters rollup",
        ),
        add("copied", 7, namespace="copied"),
    )
    data = cluster_dir(tmp_path)
    own_private_dir(data.parent, find_account())
    source = psycopg.conninfo.conninfo_to_dict(old.urls.database_url)
    subprocess.run(
        [
            postgres._programs_dir() / "pg_basebackup",
            *("-h", str(source["host"]), "-p", str(source["port"])),
            *("-U", "postgres", "-D", data, "--checkpoint=fast"),
        ],
        check=True,
    )
    if (account := find_account()) is not None:
        for path in (data, *data.rglob("*")):
            os.chown(path, account.user_id, account.group_id)

    with servers.running(tmp_path) as urls:
        copy = Cluster(urls)

        done = copy.do(
            get("copied", "accurate", namespace="copied"),
            *(add("copied", 100, namespace="copied"), "counters rollup"),
            *(get("copied", "eventual", namespace="copied"), "counters verify"),
        )
        assert counts(done) == [12, 112]
        assert "0 differ" in done
        assert "nothing to do" in copy.manage("counters", "reanchor", fails=True)
