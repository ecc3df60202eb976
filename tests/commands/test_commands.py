from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connections
from knox.auth import TokenAuthentication
from knox.models import get_token_model
from rest_framework.exceptions import AuthenticationFailed

from counters import events
from counters.models import Counter, Grant, Namespace
from counters.namespaces import access, deletion
from counters.namespaces.access import Rights
from rollups import counts
from rollups.commands.base import progress_bar
from rollups.folding import drain
from rollups.management.commands.counters import GROUPS, SUBCOMMANDS, Command

Run = Callable[..., str]


class Terminal(StringIO):
    """Looks like a terminal to whoever writes."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(triggers: list[list[int]]) -> Run:
    def call(command: str, *args: str, terminal: bool = False) -> str:
        out = Terminal() if terminal else StringIO()
        call_command("counters", command, *args, stdout=out, stderr=StringIO())
        return out.getvalue()

    return call


@pytest.fixture
def run_json(run: Run) -> Callable[..., Any]:
    return lambda *args: json.loads(run(*args, "--json"))


def count(name: str) -> int:
    return counts.get(namespace="test", name=name, accuracy="accurate").count


def test_help__lists_the_subcommands_in_groups(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        call_command("counters", "--help")

    text = capsys.readouterr().out
    for group, members in GROUPS.items():
        assert f"\n{group}:\n" in text
        for one in members:
            assert re.search(
                rf"^  {one.name} +{re.escape(one.summary)}$", text, re.MULTILINE
            )


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_help__teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("counters", command, "--help")

    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"manage.py counters {command}" in text.split("examples:")[1]
    assert "exit codes: 0" in text
    # The rows of an export have formats of their own.
    assert ("--json" in text) is (command != "export")


def test_help__names_how_much_of_a_token_revoke_token_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        call_command("counters", "revoke-token", "--help")

    said = " ".join(capsys.readouterr().out.split())
    assert "the first 8 characters or more" in said


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_subcommand__names_what_it_does_not_know(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "counters", command, "--nonsense=1"])

    # Monitoring would take the 2 of others for CRITICAL.
    assert ended.value.code == (3 if command == "status" else 2)
    said = capsys.readouterr().err
    assert f"usage: manage.py counters {command}" in said
    if "required" not in said:
        assert "unrecognized arguments: --nonsense=1" in said


@pytest.mark.parametrize("words", [[], ["nonsense"]])
def test_counters__without_a_subcommand_lists_them(words: list[str]) -> None:
    with pytest.raises(CommandError, match="revoke-token"):
        call_command("counters", *words)


@pytest.mark.usefixtures("db")
def test_refusal__is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A command line closes its connections at the end; this test still needs its own.
    monkeypatch.setattr(connections, "close_all", lambda: None)

    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "counters", "get", "nowhere", "x"])

    assert ended.value.code == 1
    assert capsys.readouterr().err == "Refused: There is no namespace 'nowhere'.\n"


@pytest.mark.parametrize("place", ["before", "after"])
def test_djangos_options__go_before_and_after_the_subcommand(place: str) -> None:
    options = ["--verbosity", "3", "--traceback", "--settings", "x"]
    words = [*options, "rollup"] if place == "before" else ["rollup", *options]

    read = Command().create_parser("manage.py", "counters").parse_args(words)

    assert (read.verbosity, read.traceback, read.settings) == (3, True, "x")


@pytest.mark.usefixtures("namespace")
def test_add__gets_the_count_where_it_is_asked_for(run: Run, run_json: Any) -> None:
    once = ("add", "test", "a", "5", "--token", "t", "--get")

    got = run_json(*once, "accurate")
    repeat = run(*once, "accurate")

    assert (got["count"], got["accuracy"], got["duplicate"]) == (5, "accurate", False)
    assert repeat == "5\n"


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(
    "delta",
    [
        "1e3",
        "1.0",
        "1_000",
        " 7",
        "\u0661",
        pytest.param("9" * 5_000, id="5,000 digits"),
    ],
)
def test_add__takes_a_delta_in_digits_only(run: Run, delta: str) -> None:
    with pytest.raises(CommandError, match=f"from -{2**63} to {2**63 - 1}, in digits"):
        run("add", "test", "a", delta)

    assert not Counter.objects.exists()


@pytest.mark.usefixtures("namespace")
def test_add__that_cannot_get_adds_nothing(run: Run) -> None:
    with pytest.raises(CommandError, match="best-effort"):
        run("add", "test", "a", "--get", "best-effort")

    assert not Counter.objects.exists()


@pytest.mark.usefixtures("namespace")
def test_clear__clears_once_a_token(run: Run, run_json: Any) -> None:
    events.add(namespace="test", name="a", delta=7)

    said = run("clear", "test", "a", "--token", "t")
    events.add(namespace="test", name="a", delta=2)
    repeat = run_json("clear", "test", "a", "--token", "t")

    assert "the count was 7" in said
    assert (repeat["duplicate"], repeat["count_before"]) == (True, None)
    assert count("a") == 2


@pytest.mark.usefixtures("namespace")
def test_clear__takes_a_generation_time(run: Run, run_json: Any) -> None:
    events.add(namespace="test", name="a", delta=7)
    at = (datetime.now(UTC) - timedelta(hours=2)).isoformat()

    cleared = run_json("clear", "test", "a", "--token", "t", "--generation-time", at)

    assert datetime.fromisoformat(cleared["event_time"]) == datetime.fromisoformat(at)
    with pytest.raises(CommandError, match="yesterday"):
        run("clear", "test", "a", "--generation-time", "yesterday")


@pytest.fixture
def seven(committed_namespace: Namespace, triggers: list[list[int]]) -> None:
    for number in range(1, 8):
        events.add(namespace="test", name=f"c{number}", delta=number * 1000)
    list(drain.drain())


@pytest.mark.usefixtures("seven")
def test_list__answers_programs_and_people(run: Run, run_json: Any) -> None:
    top = ("list", "test", "--ordering=-count", "--limit", "2")

    plain, table = run(*top), run(*top, terminal=True)

    assert [line.split("\t")[:2] for line in plain.splitlines()] == [
        ["c7", "7000"],
        ["c6", "6000"],
    ]
    assert "7,000" in table
    assert "last write" in table
    assert [one["name"] for one in run_json(*top)] == ["c7", "c6"]
    assert [one["name"] for one in run_json("list", "test", "--search", "3")] == ["c3"]


@pytest.mark.usefixtures("seven")
def test_list__goes_beyond_a_page(
    run_json: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollups.reading.listing.MOST", 3)

    assert len(run_json("list", "test")) == 7
    assert len(run_json("list", "test", "--limit", "5")) == 5


@pytest.mark.usefixtures("seven")
@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ("6", "These are the first 6 counters; there are more. Give --limit.\n"),
        ("7", ""),
    ],
)
def test_list__says_where_it_is_cut_off(limit: str, says: str) -> None:
    err = StringIO()

    call_command(
        "counters", "list", "test", "--limit", limit, stdout=StringIO(), stderr=err
    )

    assert err.getvalue() == says


@pytest.mark.usefixtures("seven")
def test_series__draws_bars_for_people(run: Run, run_json: Any) -> None:
    plain = run("series", "test", "c3", "--bucket", "day")
    table = run("series", "test", "c3", "--bucket", "day", terminal=True)
    body = run_json("series", "test", "c3", "--bucket", "day", "--gaps")

    assert plain.split("\t")[1:] == ["3000", "1\n"]
    assert "█" * 10 in table
    assert len(body["buckets"]) == 60


def test_series__says_where_the_data_lie_when_the_span_has_none(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    err = StringIO()
    committed_namespace.accept_past = timedelta(days=36_500)
    committed_namespace.retention = timedelta(days=36_500)
    committed_namespace.save()
    at = datetime(2013, 5, 1, 12, 30, tzinfo=UTC)
    events.add(namespace="test", name="old", generation_time=at)
    call_command("counters", "series", "test", "old", stdout=StringIO(), stderr=err)
    list(drain.drain())
    call_command("counters", "series", "test", "old", stdout=StringIO(), stderr=err)

    unfolded, folded = err.getvalue().splitlines()
    assert unfolded.endswith("Nothing is folded yet.")
    assert "the last 2013-05-01T12:30:00Z. Give --from and --to." in folded


def test_progress_bar__prints_nothing_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress_bar() as bar:
        bar.add_task("fold", total=1)

    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("db")
def test_namespaces__are_created_changed_and_listed(run: Run, run_json: Any) -> None:
    user = User.objects.create_user("alice")

    made = run_json(
        "create-namespace", "shop", "--accept-past", "7d", "--manager", "alice"
    )
    changed = run_json("change-namespace", "shop", "--bucket-size", "hour")
    listed = run("list-namespaces").rstrip("\n").split("\t")

    assert (made["accept_past_seconds"], made["bucket_size"]) == (604_800, "minute")
    assert (changed["accept_past_seconds"], changed["bucket_size"]) == (604_800, "hour")
    assert listed == ["shop", "eventual", "7 days", "5 min", "30 days", "hour"]
    assert access.check(user, "shop", "manage").name == "shop"


@pytest.mark.usefixtures("namespace")
def test_namespaces__refuse_with_the_reason(run: Run) -> None:
    with pytest.raises(CommandError, match="'test' is taken") as taken:
        run("create-namespace", "test")
    with pytest.raises(CommandError, match="no namespace 'nowhere'"):
        run("change-namespace", "nowhere", "--description", "x")
    with pytest.raises(CommandError, match="is not a duration"):
        run("change-namespace", "test", "--retention", "soon")
    with pytest.raises(CommandError, match="There is nothing to change") as nothing:
        run("change-namespace", "test")

    assert taken.value.returncode == 1
    assert nothing.value.returncode == 2


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (
            ("change-namespace", "test", "--retention", "9999999999d"),
            "--retention: `9999999999d` is too long. A duration is at most 36600 days.",
        ),
        (
            ("rollup", "--every", "soon"),
            "--every: 'soon' is not a number of seconds above 0 and at most 3600",
        ),
        (("rollup", "--every", "nan"), "'nan' is not a number of seconds"),
        (("rollup", "--every", "0"), "'0' is not a number of seconds"),
        (
            ("top", "--limit", "many"),
            "--limit: 'many' is not a whole number from 1 to 1,000",
        ),
        (("list", "test", "--limit", "0"), "'0' is not a whole number from 1 to 1,000"),
        (("status", "--warn-healed", "-1"), "'-1' is not a whole number from 0 to"),
        (
            ("create-token", "alice", "--expires-in", "²"),
            "--expires-in: '²' is not a whole number of days from 1 to 36,500",
        ),
        (
            ("import", "f.csv", "--batch-rows", "0"),
            "--batch-rows: '0' is not a whole number of events from 1 to 1,000,000,000",
        ),
        (
            ("import", "f.csv", "--max-rejects", "x"),
            "--max-rejects: 'x' is not a whole number of rows from 0 to 1,000,000,000",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_option__out_of_its_range_is_named_with_the_range(
    words: tuple[str, ...], wanted: str
) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("counters", *words)

    assert wanted in str(refused.value)


@pytest.mark.usefixtures("namespace")
def test_delete_counter__asks_on_a_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.add(namespace="test", name="a")
    monkeypatch.setattr("sys.stdin", Terminal("b\na\n"))
    monkeypatch.setattr("builtins.input", lambda _: sys.stdin.readline().strip())

    with pytest.raises(CommandError, match="Nothing was deleted"):
        run("delete-counter", "test", "a")
    assert Counter.objects.exists()
    run("delete-counter", "test", "a")

    assert not Counter.objects.exists()


@pytest.mark.usefixtures("namespace")
def test_delete_counter__in_a_script_must_be_confirmed(
    run: Run, run_json: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.add(namespace="test", name="a")
    monkeypatch.setattr("sys.stdin", StringIO())

    with pytest.raises(CommandError, match="--confirm a"):
        run("delete-counter", "test", "a")
    with pytest.raises(CommandError, match="--confirm a"):
        run("delete-counter", "test", "a", "--confirm", "b")

    assert run_json("delete-counter", "test", "a", "--confirm", "a") == {
        "counters": 1,
        "events": 1,
    }


@pytest.mark.usefixtures("namespace")
def test_delete_namespace__deletes_all(
    run_json: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "BATCH_COUNTERS", 2)
    for number in range(5):
        events.add(namespace="test", name=f"c{number}")

    deleted = run_json("delete-namespace", "test", "--yes")

    assert deleted == {"counters": 5, "events": 5}
    assert not Namespace.objects.exists()


@pytest.mark.usefixtures("namespace")
def test_grants__come_and_go(run: Run, run_json: Any) -> None:
    namespace = Namespace.objects.get()
    alice = User.objects.create_user("alice")
    Group.objects.create(name="staff").user_set.add(alice)

    run("grant", "test", "alice", "read")
    assert run_json("grant", "test", "alice", "write")["rights"] == ["read", "write"]
    assert access.rights_in(alice, namespace) == Rights(read=True, write=True)

    assert run_json("revoke", "test", "alice", "write")["rights"] == ["read"]
    run("revoke", "test", "alice")
    assert not Grant.objects.exists()

    run("grant", "test", "staff", "manage", "--group")
    assert access.rights_in(alice, namespace) == Rights(manage=True)
    run("revoke", "test", "staff", "--group")
    assert access.rights_in(alice, namespace) == Rights()


@pytest.mark.usefixtures("namespace")
def test_grants__name_who_is_not_there(run: Run) -> None:
    with pytest.raises(CommandError, match="no user 'bob'"):
        run("grant", "test", "bob", "read")
    with pytest.raises(CommandError, match="no group 'bob'"):
        run("grant", "test", "bob", "read", "--group")
    User.objects.create_user("bob")
    with pytest.raises(CommandError, match="no namespace 'nowhere'"):
        run("grant", "nowhere", "bob", "read")


@pytest.mark.usefixtures("db")
def test_tokens__are_made_listed_and_revoked(run: Run, run_json: Any) -> None:
    User.objects.create_user("alice")

    token = run("create-token", "alice").strip()
    other = run_json("create-token", "alice", "--expires-in", "2")
    listed = run_json("list-tokens", "--user", "alice")

    user, _ = TokenAuthentication().authenticate_credentials(token.encode())
    assert user.get_username() == "alice"
    assert other["expires_at"] is not None
    assert {one["prefix"] for one in listed} == {token[:15], other["prefix"]}
    assert token not in json.dumps(listed)

    run("revoke-token", token[:10])
    with pytest.raises(AuthenticationFailed):
        TokenAuthentication().authenticate_credentials(token.encode())
    with pytest.raises(CommandError, match="No API token begins"):
        run("revoke-token", token)
    run("revoke-token", other["token"])

    assert run_json("list-tokens") == []


@pytest.mark.usefixtures("db")
def test_revoke_token__wants_one_only(run: Run, run_json: Any) -> None:
    User.objects.create_user("alice")
    for number in range(2):
        token = run("create-token", "alice")
        get_token_model().objects.filter(token_key=token[:15]).update(
            token_key=f"3f9c1a2b000000{number}"
        )

    with pytest.raises(CommandError, match="2 API tokens begin with '3f9c1a2b'"):
        run("revoke-token", "3f9c1a2b")
    for short in ("", "3", "3f9c1a2"):
        with pytest.raises(CommandError, match="is not the first 8 characters"):
            run("revoke-token", short)
    assert len(run_json("list-tokens")) == 2
