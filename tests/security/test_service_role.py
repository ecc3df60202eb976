"""The service runs as a role that owns nothing; what it does not need it may not do."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import ProgrammingError, connection
from django.test import Client
from psycopg import sql
from pytest_django import Settings

from counters import events
from counters.db import roles
from counters.durations import LONGEST
from counters.errors import InvalidValue
from counters.models import LastWrite, Namespace
from rollups import counts as reading
from rollups.folding import audit, fold, sweep
from rollups.worker import tasks
from tests import programs
from tests.rest.conftest import Api, answer, counter

ROLE = "counters_test_service"
pytestmark = pytest.mark.django_db(transaction=True)


def administrator() -> psycopg.Connection[tuple[object, ...]]:
    """Return a connection of a superuser of the server that the tests run on."""
    settings = connection.settings_dict
    host = settings["HOST"] or settings["OPTIONS"].get("host", "")
    user = settings["USER"] if settings["USER"] == "root" else "postgres"
    return psycopg.connect(
        host=str(host),
        port=settings["PORT"] or 5432,
        user=user,
        dbname=settings["NAME"],
        autocommit=True,
    )


@pytest.fixture
def role(transactional_db: None) -> Iterator[str]:
    """The role with the rights that the command prints, and nothing else."""
    name = sql.Identifier(ROLE)
    owner = sql.Identifier(str(connection.settings_dict["USER"]))
    with administrator() as admin:
        drop(admin)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        # So that the tests' own connection can become the role.
        admin.execute(sql.SQL("GRANT {} TO {}").format(name, owner))
        with connection.cursor() as cursor:
            for statement in roles.statements(ROLE):
                cursor.execute(statement)
        yield ROLE
        connection.close()
        drop(admin)


def drop(admin: psycopg.Connection[tuple[object, ...]]) -> None:
    if admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).rowcount:
        for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
            admin.execute(sql.SQL(statement).format(sql.Identifier(ROLE)))


@pytest.fixture
def as_role(role: str) -> Iterator[None]:
    """Everything that this process asks of the database is asked as the role."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


@pytest.fixture
def superuser(transactional_db: None) -> User:
    return User.objects.create_superuser("boss", password="correct horse")


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_api__does_everything_as_the_role(
    superuser: User,
    as_role: None,
    api_of: Callable[[User], Api],
    triggers: list[list[int]],
) -> None:
    api = api_of(superuser)
    assert api.post("namespaces", {"name": "test"}).status_code == 201
    batch = [
        {"namespace": "test", "name": name, "delta": 1, "token": token}
        for name, token in (("a", "any"), ("b", str(uuid4())), ("c", None))
    ]

    # A token without a time, one with, and a repeat of each way to record.
    for token in ("any", "any", str(uuid4())):
        answer(api.add("hits", {"delta": 2, "token": token}))
    at = datetime.now(UTC).isoformat()
    timed = {"delta": 3, "token": "timed", "generation_time": at}
    assert [answer(api.add("hits", timed))["duplicate"] for _ in "ab"] == [False, True]
    answer(api.post("events", {"events": batch}))
    answer(api.post("events", {"events": batch[:2]}))
    assert api.add("hits", {"delta": 9, "token": "any"}).status_code == 409
    assert answer(api.read("hits", "?accuracy=accurate"))["count"] == 7
    sweep.sweep()
    fold.fold(set(LastWrite.objects.values_list("counter_id", flat=True)))
    assert answer(api.read("hits"))["count"] == 7
    assert answer(api.get(f"{counter('hits')}/series?bucket=minute"))["buckets"]
    for ordering in ("name", "-count", "last_write_at"):
        listed = answer(api.get(f"namespaces/test/counters?ordering={ordering}"))
        assert len(listed["results"]) == 4
    assert answer(api.post(f"{counter('hits')}/clear", {}))["count_before"] == 7
    changed = api.send(
        "PATCH",
        "namespaces/test",
        data='{"accept_past_seconds": 7200}',
        content_type="application/json",
    )
    assert answer(changed)["accept_past_seconds"] == 7200
    gone = api.send("DELETE", f"{counter('hits')}?confirm=hits")
    assert gone.status_code == 204
    assert api.send("DELETE", "namespaces/test?confirm=test").status_code == 204
    for path in ("/metrics", "/readyz", "/healthz"):
        assert Client().get(path).status_code == 200
    assert b"counters_database_up 0" not in Client().get("/metrics").content


def test_admin__does_everything_as_the_role(superuser: User, as_role: None) -> None:
    client = Client()
    login = {"username": "boss", "password": "correct horse"}
    assert client.post("/admin/login/?next=/admin/", login).status_code == 302
    fields = {
        "name": "shop",
        "counter_type": "eventual",
        "accept_past": "1 00:00:00",
        "accept_future": "00:05:00",
        "retention": "30 00:00:00",
        "bucket_size": "minute",
        "grants-TOTAL_FORMS": "1",
        "grants-INITIAL_FORMS": "0",
        "grants-0-user": str(superuser.pk),
        "grants-0-can_read": "on",
        "confirmed": "yes",
    }

    added = client.post("/admin/counters/namespace/add/", fields)

    assert added.status_code == 302, added.content.decode()
    group = Group.objects.create(name="people")
    other = User.objects.create_user("other")
    other.groups.add(group)
    for path in ("counters/counter/", "auth/user/", "auth/group/"):
        assert client.get(f"/admin/{path}").status_code == 200
    assert client.get("/ops").status_code == 200
    deleted = client.post(f"/admin/auth/user/{other.pk}/delete/", {"post": "yes"})
    assert deleted.status_code == 302
    assert client.post("/admin/logout/").status_code == 200


def test_background__works_as_the_role(
    committed_namespace: Namespace,
    as_role: None,
    triggers: list[list[int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # No partition is due, not even those of the distant past that imports have left.
    committed_namespace.retention = LONGEST
    committed_namespace.save()
    added = events.add(namespace="test", name="hits", delta=3)

    tasks.sweep()
    fold.fold([added.counter_id])
    audited = list(audit.audit())
    with caplog.at_level(logging.WARNING):
        tasks.make_partitions()
        tasks.close_partitions()
        tasks.reindex_partitions()

    assert reading.get(namespace="test", name="hits", accuracy="eventual").count == 3
    assert audited
    assert all(one.is_right for batch in audited for one in batch)
    # The owner has made them, so there was nothing to do that needs the owner.
    assert caplog.messages == []


def test_upkeep__without_the_right_says_once_who_has_it(
    committed_namespace: Namespace,
    as_role: None,
    triggers: list[list[int]],
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
) -> None:
    settings.COUNTERS_PARTITION_DAYS_AHEAD = 60

    with caplog.at_level(logging.WARNING):
        tasks.make_partitions()

    [said] = caplog.messages
    assert "manage.py counters partitions --make --close" in said
    # And an add whose partition is missing is taken.
    namespace = Namespace.objects.get(name="test")
    namespace.accept_future = timedelta(days=90)
    namespace.save()
    ahead = datetime.now(UTC) + timedelta(days=50)
    events.add(namespace="test", name="hits", generation_time=ahead)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "DROP TABLE counters_event",
        "TRUNCATE counters_event",
        "ALTER TABLE counters_event ADD COLUMN mine int",
        "DROP FUNCTION counters_check_repeat(bigint, uuid, timestamptz, bigint, bigint)",
        "UPDATE counters_event SET event_time = now()",
        "UPDATE counters_event SET xid = '3'",
        "UPDATE counters_counter SET name = 'x'",
        "UPDATE auth_permission SET codename = 'x'",
        "DELETE FROM django_migrations",
        "DELETE FROM rollups_anchor",
        "INSERT INTO rollups_closing DEFAULT VALUES",
        "UPDATE django_admin_log SET change_message = ''",
        "INSERT INTO counters_event_default DEFAULT VALUES",
        "COPY counters_event TO '/tmp/events'",
        "SELECT pg_read_file('/etc/passwd')",
        "ALTER SYSTEM SET fsync = off",
        "CREATE ROLE mine",
        "SELECT pg_terminate_backend(0) FROM pg_authid",
    ],
)
@pytest.mark.usefixtures("as_role")
def test_role__may_not(statement: str) -> None:
    with pytest.raises(ProgrammingError):
        run(statement)


@pytest.mark.usefixtures("as_role")
def test_role__reads_no_partition_but_through_its_parent() -> None:
    with pytest.raises(ProgrammingError):
        run(f"TABLE counters_event_{datetime.now(UTC):%Y%m%d}")


def test_role__owns_nothing(role: str) -> None:
    with administrator() as admin:
        owned = admin.execute(
            "SELECT classid::regclass, objid FROM pg_shdepend WHERE refobjid = %s::regrole"
            " AND deptype = 'o'",
            [role],
        )

        assert owned.fetchall() == []


def test_role__has_rights_on_what_later_migrations_make(role: str) -> None:
    run("CREATE TABLE later (id int GENERATED ALWAYS AS IDENTITY, text text)")
    try:
        run(f"SET ROLE {ROLE}")
        run("INSERT INTO later (text) VALUES ('x')")
        run("UPDATE later SET text = 'y'")
        run("DELETE FROM later")
    finally:
        run("RESET ROLE")
        run("DROP TABLE later")


@pytest.mark.skipif(shutil.which("psql") is None, reason="there is no psql")
def test_command__prints_what_psql_takes(role: str) -> None:
    out = StringIO()

    call_command("counters", "role-sql", role, stdout=out)

    url = urlsplit(programs.test_database_url())
    done = subprocess.run(
        ["psql", url.geturl(), "--no-psqlrc", "--quiet"],
        input=out.getvalue(),
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_command__quotes_the_role(transactional_db: None) -> None:
    statements = roles.statements('x"; DROP TABLE counters_event; --')

    assert all('"x""; DROP TABLE counters_event; --"' in one for one in statements)


def test_command__refuses_the_owner(transactional_db: None) -> None:
    with pytest.raises(InvalidValue, match="another role"):
        roles.statements(str(connection.settings_dict["USER"]))


def test_worker__folds_as_the_role(
    committed_namespace: Namespace,
    role: str,
    broker_url: str,
    tmp_path: Path,
) -> None:
    programs.purge(broker_url)
    owner = str(connection.settings_dict["USER"])
    url = programs.test_database_url().replace(f"//{owner}@", f"//{role}@")
    events.add(namespace="test", name="hits", delta=3)

    def folded() -> bool:
        read = reading.get(namespace="test", name="hits", accuracy="eventual")
        return read.count == 3

    variables = {"DATABASE_URL": url, "ROLLUPS_SWEEP_PERIOD_SECONDS": "1"}
    with (
        programs.worker(broker_url, tmp_path / "worker", **variables),
        programs.beat(broker_url, tmp_path / "beat", **variables),
    ):
        programs.wait_until(folded, f"the counter is not folded: {tmp_path}")

    assert "Traceback" not in (tmp_path / "worker").read_text()
