"""Tests of the supervisor with small programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from counters_project.runner import processes
from counters_project.runner.config import CannotStartError, RunConfig, check_port
from counters_project.runner.processes import Program
from counters_project.runner.supervisor import Supervisor

MakeProgram = Callable[[str, str], Program]
STAYS = "import time; time.sleep(60)"
# Its child holds a port, and so much memory that it takes a while to die.
LEAVES_A_SERVER = """
import os, socket, time
server = socket.create_server(("127.0.0.1", 0))
if os.fork():
    os._exit(0)
held = b"x" * 300_000_000
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""


@pytest.fixture
def make_program(tmp_path: Path) -> MakeProgram:
    def make(name: str, code: str) -> Program:
        return Program(
            name=name,
            argv=(sys.executable, "-c", code),
            env=os.environ | {processes.OWNER_VARIABLE: str(tmp_path)},
            cwd=tmp_path,
            log=tmp_path / f"{name}.log",
        )

    return make


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(record=tmp_path / "children.json", say=said.append)
    yield supervisor
    supervisor.stop()


def test_stop__last_started_first(
    supervisor: Supervisor, make_program: MakeProgram, said: list[str]
) -> None:
    for name in ("one", "two"):
        supervisor.start(make_program(name, STAYS))
    children = [psutil.Process(pid) for pid in supervisor.pids().values()]

    supervisor.stop()

    assert said == ["Stopping two", "Stopping one"]
    assert not any(child.is_running() for child in children)


def test_child_that_ends__starts_again_and_is_announced(
    supervisor: Supervisor, make_program: MakeProgram, said: list[str]
) -> None:
    supervisor.start(make_program("child", STAYS))
    before = supervisor.pids()["child"]
    changes: list[dict[str, int]] = []
    supervisor.when_pids_change = lambda: changes.append(supervisor.pids())

    psutil.Process(before).kill()

    deadline = time.monotonic() + 10
    while not changes and time.monotonic() < deadline:
        supervisor.pause(0.05)
    assert changes[0]["child"] != before
    assert "child ended by signal 9; it restarts in 0.5 s" in said[0]
    assert said[1] == "child has been restarted"


def test_child_that_cannot_start__is_given_up_with_its_last_words(
    supervisor: Supervisor, make_program: MakeProgram
) -> None:
    supervisor.start(make_program("child", "raise SystemExit('no such broker')"))

    with pytest.raises(CannotStartError, match="no such broker"):
        supervisor.settle(30)


def test_child_that_ignores_the_request__is_killed_with_its_own_children(
    tmp_path: Path, make_program: MakeProgram
) -> None:
    deaf = make_program(
        "deaf",
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid, flush=True); child.wait()",
    )
    process = processes.start(deaf)
    while not (words := deaf.log.read_text().split()):
        assert process.poll() is None
    grandchild = psutil.Process(int(words[0]))

    processes.end(process, deaf, in_a_hurry=lambda: True)

    assert process.returncode == -9
    _, alive = psutil.wait_procs([grandchild], timeout=10)
    assert all(one.status() == psutil.STATUS_ZOMBIE for one in alive)


def test_orphans__are_identified_by_id_and_start(
    tmp_path: Path, make_program: MakeProgram
) -> None:
    record = tmp_path / "children.json"
    ours = processes.start(make_program("ours", STAYS))
    # Without our mark in its environment: with it, it would be an orphan of ours.
    unmarked = replace(make_program("stranger", STAYS), env=dict(os.environ))
    stranger = processes.start(unmarked)
    described = [identify(ours, "ours"), identify(stranger, "stranger")]
    described[1]["created"] -= 5  # somebody else's process by now
    record.write_text(json.dumps(described))

    try:
        # Nobody waits for the child as its dead parent would not: collect it in passing.
        ended = processes.end_orphans(record)

        assert ended == ["ours"]
        assert stranger.poll() is None
        assert not record.exists()
    finally:
        for process in (ours, stranger):
            process.kill()
            process.wait()


def test_orphans__of_an_ended_child_are_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!"],
        env=os.environ | {processes.OWNER_VARIABLE: str(tmp_path)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as leader:
        described = identify(leader, "leader")
        assert leader.stdout is not None
        orphan = psutil.Process(int(leader.stdout.readline()))
        leader.wait()
        (tmp_path / "children.json").write_text(json.dumps([described]))

        processes.end_orphans(tmp_path / "children.json")

        _, alive = psutil.wait_procs([orphan], timeout=10)
        assert all(one.status() == psutil.STATUS_ZOMBIE for one in alive)


def test_orphans__their_port_is_free_afterwards(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LEAVES_A_SERVER],
        env=os.environ | {processes.OWNER_VARIABLE: str(tmp_path)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as leader:
        described = identify(leader, "leader")
        assert leader.stdout is not None
        port = int(leader.stdout.readline())
        leader.wait()
        (tmp_path / "children.json").write_text(json.dumps([described]))

        processes.end_orphans(tmp_path / "children.json")

        check_port(RunConfig(tmp_path, "127.0.0.1", port))


def identify(process: subprocess.Popen[bytes], name: str) -> processes.Recorded:
    described = processes.identify(
        process, name=name, stop_signal=15, stop_within_seconds=5
    )
    assert described is not None
    return described
