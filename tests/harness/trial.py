"""One trial: load and faults on a running stack, then the truth about what was counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from counters_project.embedded.private import make_private_dir
from tests.harness import checks, faults, ledger, looking, schedule
from tests.harness.faults import Ground
from tests.harness.ledger import Account, Ledger
from tests.harness.recovery import MOST_SECONDS, Probe, Recovery
from tests.harness.schedule import Step
from tests.harness.stack import Stack

_ROOT = Path(__file__).resolve().parents[2]
# A client may be in the middle of an operation that it has patience for.
_CLIENT_ENDS_WITHIN_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a trial does. The same plan is the same schedule and the same operations."""

    seed: str
    namespace: str = "harness"
    # It goes on for so long, or, if given, for so many steps.
    seconds: float = 60
    steps: int | None = None
    faults: Sequence[str] = faults.NAMES
    most_hold_seconds: float = 4
    clients: int = 3
    # Operations a second, of each client.
    rate: float = 30


@dataclass(frozen=True)
class Done:
    """A step that was taken."""

    step: Step
    recovery: Recovery


@dataclass
class Outcome:
    """What came of a trial."""

    plan: Plan
    account: Account
    stored_events: int
    steps: list[Done]
    settled_seconds: float | None
    # Lines by check, none for one that holds.
    violations: dict[str, list[str]]
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not any(self.violations.values())


def run(
    stack: Stack, plan: Plan, *, say: Callable[[str], None] = lambda line: None
) -> Outcome:
    """Run it; `say` hears of every step before it is taken."""
    directory = make_private_dir(stack.directory / plan.namespace)
    ground = Ground(
        stack=stack,
        namespace=plan.namespace,
        ledger=Ledger(directory / "harness.jsonl"),
        impatience=directory / "impatient",
    )
    probe = Probe(stack, namespace=plan.namespace, ledger=ground.ledger)
    probe.make_counters()
    probe.measure(healed_at=time.monotonic())
    with _clients(stack, plan, directory) as clients:
        _wait_for_first_operations(stack, directory, plan)
        done = [
            _take(step, ground, probe, say)
            for step in _steps(plan, until=time.monotonic() + plan.seconds)
        ]
        if not plan.steps and not done:
            stack.wait(lambda: False, seconds=plan.seconds)
        say("waiting for clients, and for the last folds")
        for client in clients:
            client.send_signal(signal.SIGTERM)
        stack.wait(
            lambda: all(client.poll() is not None for client in clients),
            seconds=_CLIENT_ENDS_WITHIN_SECONDS,
        )
        crashed = [client.returncode for client in clients if client.returncode != 0]
    settled = _settle(stack, plan)
    account = ledger.read(sorted(directory.glob("*.jsonl")))
    state = looking.state(stack.postgres, plan.namespace)
    say(f"checking {len(state.events):,} events")
    violations = checks.run(account, state)
    violations["recovers from every fault"] = _not_recovered(done)
    violations["clients live"] = [f"exit code {code}" for code in crashed]
    return Outcome(
        plan=plan,
        account=account,
        stored_events=len(state.events),
        steps=done,
        settled_seconds=settled,
        violations=violations,
        numbers=looking.sweeps(stack.postgres)
        | {f"{unit.name} ended by itself": unit.restarts for unit in stack.all_units()}
        | {"PostgreSQL panicked": stack.postgres.panics()},
    )


def _steps(plan: Plan, *, until: float) -> Iterator[Step]:
    if not plan.faults:
        return
    endless = schedule.steps(
        seed=plan.seed, faults=plan.faults, most_hold_seconds=plan.most_hold_seconds
    )
    if plan.steps is not None:
        yield from islice(endless, plan.steps)
        return
    while time.monotonic() < until:
        yield next(endless)


def _take(step: Step, ground: Ground, probe: Probe, say: Callable[[str], None]) -> Done:
    stack = ground.stack
    stack.wait(lambda: False, seconds=step.pause_seconds)
    say(str(step))
    injected = [faults.make(planned, ground) for planned in step.faults]
    for fault in injected:
        fault.inject()
    stack.wait(lambda: False, seconds=step.hold_seconds)
    healed_at = time.monotonic()
    for fault in injected:
        fault.heal()
    return Done(step, probe.measure(healed_at=healed_at))


def _settle(stack: Stack, plan: Plan) -> float | None:
    """Wait until nothing is pending; return the seconds, None where that never came."""
    began = time.monotonic()
    # What clients gave up may be worked on still: an add of it would be folded, too.
    done = stack.wait(
        lambda: looking.is_quiet(stack.postgres, plan.namespace), seconds=MOST_SECONDS
    )
    return time.monotonic() - began if done else None


def _not_recovered(done: list[Done]) -> list[str]:
    return [
        f"{one.step}: {one.recovery}"
        for one in done
        if one.recovery.folded_seconds is None
    ]


def _wait_for_first_operations(stack: Stack, directory: Path, plan: Plan) -> None:
    def all_began() -> bool:
        return len(list(directory.glob("client-*.jsonl"))) == plan.clients

    stack.wait(all_began, seconds=MOST_SECONDS)


@contextmanager
def _clients(
    stack: Stack, plan: Plan, directory: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    env = os.environ | {"PYTHONPATH": str(_ROOT / "client")}
    clients = []
    try:
        for number in range(plan.clients):
            words = ["-m", "tests.harness.load", "--client", str(number)]
            words += [word for url in stack.urls for word in ("--url", url)]
            words += ["--token-file", str(stack.token_file), "--seed", plan.seed]
            words += ["--namespace", plan.namespace, "--rate", str(plan.rate)]
            words += ["--ledger", str(directory / f"client-{number}.jsonl")]
            words += ["--impatience", str(directory / "impatient")]
            with (directory / f"client-{number}.log").open("wb") as log:
                clients.append(
                    subprocess.Popen(
                        [sys.executable, *words],
                        cwd=_ROOT,
                        env=env,
                        stdout=log,
                        stderr=log,
                    )
                )
        yield clients
    finally:
        for client in clients:
            client.kill()
            client.wait()
