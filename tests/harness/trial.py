"""One trial: load and faults on a running stack, then the truth about what was counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from counters_project.embedded.data_dir import make_private_dir
from tests.harness import checks, faults, ledger, looking, schedule
from tests.harness.checks import State
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
    # Exit codes of programs that nobody killed.
    ended_by_itself: dict[str, list[int]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not any(self.violations.values())


def run(
    stack: Stack, plan: Plan, *, say: Callable[[str], None] = lambda line: None
) -> Outcome:
    """Run it; `say` hears of every step before it is taken."""
    directory = make_private_dir(stack.directory / plan.namespace)
    with (
        closing(Ledger(directory / "harness.jsonl")) as own_ledger,
        Probe(stack, namespace=plan.namespace, ledger=own_ledger) as probe,
    ):
        ground = Ground(
            stack=stack,
            namespace=plan.namespace,
            ledger=own_ledger,
            impatience=directory / "impatient",
        )
        probe.make_counters()
        probe.measure(healed_at=time.monotonic())
        with _clients(stack, plan, directory) as clients:
            done = _take_steps(plan, ground, probe, say)
            say("waiting for clients, and for the last folds")
            crashed = _end_clients(stack, clients)
    healed_at = time.monotonic()
    state = _settled_state(stack, plan)
    settled_seconds = time.monotonic() - healed_at
    say(f"checking {len(state.events):,} events")
    account = ledger.read(sorted(directory.glob("*.jsonl")))
    return Outcome(
        plan=plan,
        account=account,
        stored_events=len(state.events),
        steps=done,
        settled_seconds=None if state.pending else settled_seconds,
        violations=checks.run(account, state)
        | {"recovers from every fault": _not_recovered(done), "clients live": crashed},
        numbers=looking.sweeps(stack.postgres)
        | looking.triggers(stack.urls)
        | {"PostgreSQL panicked": stack.postgres.panics()},
        ended_by_itself={
            unit.name: unit.ended_with for unit in stack.all_units() if unit.ended_with
        },
    )


def _take_steps(
    plan: Plan, ground: Ground, probe: Probe, say: Callable[[str], None]
) -> list[Done]:
    until = time.monotonic() + plan.seconds
    done = [_take(step, ground, probe, say) for step in _steps(plan, until=until)]
    if not done:
        say("no faults")
        ground.stack.hold(plan.seconds)
    return done


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
    stack.hold(step.pause_seconds)
    say(str(step))
    injected = [faults.make(planned, ground) for planned in step.faults]
    for fault in injected:
        fault.inject()
    stack.hold(step.hold_seconds)
    healed_at = time.monotonic()
    for fault in injected:
        fault.heal()
    return Done(step, probe.measure(healed_at=healed_at))


def _end_clients(stack: Stack, clients: list[subprocess.Popen[bytes]]) -> list[str]:
    """Let each finish its operation; return a line for each that ended otherwise."""
    for client in clients:
        client.send_signal(signal.SIGTERM)
    stack.wait(
        lambda: all(client.poll() is not None for client in clients),
        seconds=_CLIENT_ENDS_WITHIN_SECONDS,
    )
    codes = [client.returncode for client in clients]
    return [f"a client ended with exit code {code}" for code in codes if code != 0]


def _settled_state(stack: Stack, plan: Plan) -> State:
    """Wait, for a bounded time, until nothing is pending; return what is there then.

    What clients gave up may be worked on still: an add of it would be folded, too.
    """
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        stack.wait(
            lambda: looking.is_quiet(stack.postgres, plan.namespace),
            seconds=deadline - time.monotonic(),
        )
        state = looking.state(stack.postgres, plan.namespace)
        if not state.pending or time.monotonic() > deadline:
            return state


def _not_recovered(done: list[Done]) -> list[str]:
    return [
        f"{one.step}: {one.recovery}"
        for one in done
        if one.recovery.folded_seconds is None
    ]


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
        # They know what to do with SIGTERM from then on.
        stack.wait(
            lambda: len(list(directory.glob("client-*.jsonl"))) == plan.clients,
            seconds=MOST_SECONDS,
        )
        yield clients
    finally:
        for client in clients:
            client.kill()
            client.wait()
