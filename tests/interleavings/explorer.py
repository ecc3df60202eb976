"""Run operations in every order of their statements, against a real PostgreSQL.

Each operation runs the product's own functions on its own thread and connection. Before each
statement, COMMIT and ROLLBACK it waits for the explorer, which runs one operation at a time.
While PostgreSQL says that an operation's statement is blocked by another operation, the
explorer runs the others; no clock decides. This is stateless model checking: each order is run
from a fresh state; the choices that it did not take are run later.

The bound is the number of preemptions: switches away from an operation that could have
continued (Musuvathi and Qadeer, "Iterative context bounding", PLDI 2007). Most faults need two.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db import connection as monitor
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from counters.db.statements import load

STUCK_AFTER_SECONDS = 15
_LOOK_EVERY_SECONDS = 0.003
# They commute with whatever another operation does. The namespace is set up before and stays.
_NOT_A_STEP = (
    "SET ",
    "SAVEPOINT ",
    "RELEASE ",
    "SHOW ",
    "SELECT clock_timestamp()",
    "SELECT current_setting",
    "SELECT pg_relation_size",
    "SELECT set_config",
)
_NAMESPACE_ONLY = 'FROM "counters_namespace"'

_here = threading.local()


@dataclass(frozen=True, slots=True)
class Choice:
    """Which operation ran, and which could have run."""

    chosen: int
    # Those that waited for their turn; the one that ran before comes first.
    possible: tuple[int, ...]
    is_preemptible: bool

    def preempts(self, chosen: int) -> bool:
        return self.is_preemptible and chosen != self.possible[0]


@dataclass(slots=True)
class Operation:
    """One operation in an order, and what became of it."""

    name: str
    index: int
    work: Callable[[Operation], Any]
    # It gives up where PostgreSQL would find a deadlock.
    is_patient: bool = True
    gave_up: bool = False
    # The numbers of its first step and of the last step before it had ended.
    began: int = 0
    ended: int = 0
    error: BaseException | None = None
    state: str = "running"
    step: str = ""
    # The connection that it uses at the moment.
    pid: int | None = None


@dataclass(slots=True)
class Order:
    """An order that was run."""

    operations: list[Operation]
    choices: list[Choice] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    # Whether it followed the wanted choices; otherwise a replay had other choices.
    diverged: bool = False

    @property
    def chosen(self) -> list[int]:
        return [choice.chosen for choice in self.choices]


class Stuck(Exception):
    """No operation can continue, and PostgreSQL does not end one of them."""


class Explorer:
    """Runs orders on threads and connections that it keeps for the next order."""

    def __init__(
        self,
        *,
        keeps_plans: bool = False,
        isolation: str = "read committed",
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        """Take `replaced`, which changes the text of statements to remove a guarantee."""
        self.keeps_plans = keeps_plans
        self.isolation = isolation
        self._threads: list[ThreadPoolExecutor] = []
        self._changed = threading.Condition()
        self._replaced = dict(replaced or {})
        # Texts of `replaced` that no statement had.
        self.unused = set(self._replaced)
        self._gates_are_open = False

    def close(self) -> None:
        for thread in self._threads:
            thread.submit(connections.close_all).result()
            thread.shutdown()

    def run_order(self, operations: list[Operation], chosen: Sequence[int]) -> Order:
        """Run the operations by `chosen`; after that each runs for as long as it can."""
        order = Order(operations)
        self._start_threads(len(operations))
        futures = [
            thread.submit(self._run, operation)
            for thread, operation in zip(self._threads, order.operations, strict=False)
        ]
        try:
            self._schedule(order, list(chosen))
        finally:
            self._open_gates()
            for future in futures:
                future.result(STUCK_AFTER_SECONDS)
            self._gates_are_open = False
        return order

    def make_plans(self, index: int, work: Callable[[], Any]) -> None:
        """Run it on an operation's connection, without steps; its plans are kept there."""
        self._start_threads(index + 1)

        def run() -> None:
            _here.explorer, _here.operation = self, None
            connections[DEFAULT_DB_ALIAS].ensure_connection()
            driver: Any = connections[DEFAULT_DB_ALIAS].connection
            driver.prepare_threshold = 0
            try:
                work()
            finally:
                driver.prepare_threshold = 1

        self._threads[index].submit(run).result()

    def _start_threads(self, number: int) -> None:
        while len(self._threads) < number:
            self._threads.append(ThreadPoolExecutor(max_workers=1))

    # --- The explorer's thread -------------------------------------------------------------

    def _schedule(self, order: Order, chosen: list[int]) -> None:
        previous: int | None = None
        self._settle(order)
        while True:
            waiting = [one.index for one in order.operations if one.state == "waiting"]
            if not waiting:
                return
            is_preemptible = previous in waiting
            if is_preemptible:
                waiting.sort(key=lambda index: (index != previous, index))
            number = len(order.choices)
            index = waiting[0]
            if number < len(chosen):
                if chosen[number] in waiting:
                    index = chosen[number]
                else:
                    order.diverged = True
            operation = order.operations[index]
            order.choices.append(Choice(index, tuple(waiting), is_preemptible))
            operation.began = operation.began or number + 1
            order.lines.append(f"{operation.name}: {operation.step}")
            with self._changed:
                operation.state = "running"
                self._changed.notify_all()
            self._settle(order)
            if operation.state == "blocked":
                order.lines[-1] += "  (waits)"
            previous = index

    def _settle(self, order: Order) -> None:
        """Return once each operation waits for its turn, is blocked by another, or has ended."""
        deadline = time.monotonic() + STUCK_AFTER_SECONDS
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: not _in_state(order, "running", "blocked"),
                    _LOOK_EVERY_SECONDS,
                )
            busy = _in_state(order, "running", "blocked")
            blocked = self._blocked(order, busy) if busy else set()
            with self._changed:
                for one in busy:
                    if one.state in {"running", "blocked"}:
                        one.state = "blocked" if one.index in blocked else "running"
                if not _in_state(order, "running"):
                    stuck = _in_state(order, "blocked")
                    if _in_state(order, "waiting") or not stuck:
                        break
                    # All wait for each other. An operation with a short wait gives up; if there
                    # is none, PostgreSQL ends one of them as a deadlock.
                    self._give_up(order, stuck)
            if time.monotonic() > deadline:
                states = [f"{one.name}: {one.state}" for one in order.operations]
                raise Stuck("\n".join([*order.lines, *states]))
        for one in order.operations:
            if one.state == "ended" and not one.ended:
                one.ended = len(order.choices)

    def _blocked(self, order: Order, busy: list[Operation]) -> set[int]:
        """Return the operations that wait for a lock which another one holds or waits for."""
        index_of = {one.pid: one.index for one in busy if one.pid}
        if not index_of:
            return set()
        ours = [one.pid for one in order.operations if one.pid]
        with monitor.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM unnest(%s::int[]) AS pid"
                " WHERE pg_blocking_pids(pid) && %s::int[]",
                [list(index_of), ours],
            )
            return {index_of[pid] for (pid,) in cursor.fetchall()}

    def _give_up(self, order: Order, stuck: list[Operation]) -> None:
        impatient = [one for one in stuck if not one.is_patient]
        if impatient and not impatient[0].gave_up:
            impatient[0].gave_up = True
            order.lines.append(f"{impatient[0].name}: gives up")
            with monitor.cursor() as cursor:
                cursor.execute("SELECT pg_cancel_backend(%s)", [impatient[0].pid])

    def _open_gates(self) -> None:
        with self._changed:
            self._gates_are_open = True
            self._changed.notify_all()

    # --- The operations' threads -----------------------------------------------------------

    def _run(self, operation: Operation) -> None:
        _here.explorer, _here.operation = self, operation
        try:
            operation.work(operation)
        except BaseException as error:
            operation.error = error
        finally:
            _here.operation = None
            with self._changed:
                operation.state = "ended"
                self._changed.notify_all()

    def wait_for_turn(self, operation: Operation, step: str) -> None:
        with self._changed:
            operation.state, operation.step = "waiting", step
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: operation.state == "running" or self._gates_are_open
            )
            operation.state = "running"

    def replace(self, statement: str) -> str:
        for old, new in self._replaced.items():
            if old in statement:
                statement = statement.replace(old, new)
                self.unused.discard(old)
        return statement


@contextmanager
def steps_are_gated() -> Iterator[None]:
    """Make each new connection of an operation's thread wait for its turn at each step."""
    connection_created.connect(_gate)
    try:
        yield
    finally:
        connection_created.disconnect(_gate)


def _gate(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    explorer: Explorer | None = getattr(_here, "explorer", None)
    if explorer is None:
        return
    driver: Any = connection.connection
    # A statement that is planned again can have a plan that is older than its snapshot.
    driver.prepare_threshold = 1 if explorer.keeps_plans else None
    driver.execute("SET plan_cache_mode = force_generic_plan")
    driver.execute("SET synchronous_commit = off")
    driver.execute(f"SET default_transaction_isolation = '{explorer.isolation}'")
    if _wait_and_execute in connection.execute_wrappers:
        return  # connected again
    connection.execute_wrappers.append(_wait_and_execute)
    for end in ("commit", "rollback"):
        setattr(connection, end, _waiting(connection, end))


def _wait_and_execute(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
) -> Any:
    operation: Operation | None = getattr(_here, "operation", None)
    if operation is not None:
        driver = context["connection"].connection
        text = sql if isinstance(sql, str) else sql.as_string(driver)
        operation.pid = driver.info.backend_pid
        if not text.startswith(_NOT_A_STEP) and _NAMESPACE_ONLY not in text:
            _here.explorer.wait_for_turn(operation, describe(text))
        sql = _here.explorer.replace(text)
    return execute(sql, params, many, context)


def _waiting(connection: BaseDatabaseWrapper, end: str) -> Callable[[], None]:
    original = getattr(connection, end)

    def wait_and_end() -> None:
        operation: Operation | None = getattr(_here, "operation", None)
        if operation is not None:
            driver: Any = connection.connection
            operation.pid = driver.info.backend_pid
            _here.explorer.wait_for_turn(operation, end.upper())
        original()

    return wait_and_end


def describe(statement: str) -> str:
    """Return the name of a statement's file, or the statement's beginning without a file."""
    found = _names().get(statement)
    return found or " ".join(statement.split())[:70]


@cache
def _names() -> dict[str, str]:
    return {
        load(app, name): name
        for app in ("counters", "rollups")
        for file in files(app).joinpath("sql").iterdir()
        if file.is_file()
        for name in [file.name.removesuffix(".sql")]
    }


def _in_state(order: Order, *states: str) -> list[Operation]:
    return [one for one in order.operations if one.state in states]


def explore(
    run: Callable[[Sequence[int]], Order], *, preemptions: int | None = None
) -> Iterator[Order]:
    """Yield each order with at most this many preemptions (None: every order) once.

    `run` makes a fresh state and runs the given choices. Orders that differ least from running
    one operation after the other come first, because they are the easiest to read.
    """
    untried: deque[list[int]] = deque([[]])
    while untried:
        prefix = untried.popleft()
        order = run(prefix)
        # Something outside of the operations, such as autovacuum, may have come between.
        for _ in range(3):
            if not order.diverged:
                break
            order = run(prefix)
        yield order
        spent = 0
        for number, choice in enumerate(order.choices):
            if number >= len(prefix):
                for other in choice.possible:
                    cost = spent + choice.preempts(other)
                    if other != choice.chosen and (
                        preemptions is None or cost <= preemptions
                    ):
                        untried.append([*order.chosen[:number], other])
            spent += choice.preempts(choice.chosen)
