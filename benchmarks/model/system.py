"""The whole service as stations and customers, simulated: writers, broker, workers.

A writer's call takes CPU of its own process, a round trip, CPU of PostgreSQL and a flush
of the log. Its process gathers the counters that it wrote, as the publisher does, into
messages, but for those that circulate; a worker folds what is pending of a message's
counters, and what was written meanwhile goes into circulation. Locks inside PostgreSQL, memory and caches are not in it.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import islice

import simpy

from benchmarks.model.demands import CROWDED, Demands
from benchmarks.model.log import Log
from benchmarks.model.pacing import (
    FIRST_GATHER_SECONDS,
    MESSAGE_COUNTERS,
    MESSAGE_WAITS,
    REST_SECONDS,
    Gathering,
    Sparing,
    pause_seconds,
)
from benchmarks.model.processor import Cores, Processor

Generator = simpy.events.ProcessGenerator


@dataclass(frozen=True, slots=True)
class Hosts:
    """Cores of each tier; one number for all where they share a machine."""

    web: float
    database: float | None = None
    worker: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is simulated. With `calls_per_second` the writers are web processes, open."""

    writers: int
    hosts: Hosts
    batch: int = 1
    workers: int = 1
    # Celery's main processes, which hand messages on to those that fold.
    consumers: int = 1
    counters: int = 1_000
    calls_per_second: float | None = None
    # What a call takes of the web server's CPU; None: an add from Python.
    rest: bool = False
    seconds: float = 3.0
    warm_up: float = 0.5
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Predicted:
    """What came out, after the warm-up."""

    calls_per_second: float
    events_per_second: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    web_busy: float
    database_busy: float
    worker_busy: float
    log_busy: float
    flushes_per_second: float
    calls_per_flush: float
    messages_per_second: float
    counters_folded_per_second: float
    # Calls that were in PostgreSQL, on average: connections in use, by Little's law.
    in_database: float
    pending_events: int
    # CPU seconds of each call by who took them: folds and messages are in it.
    client_cpu: float
    postgres_cpu: float
    worker_cpu: float


class _Writer:
    """A process that writes: the counters that wait in it for their message."""

    def __init__(self, env: simpy.Environment) -> None:
        self.waiting: set[int] = set()
        self.woken = env.event()
        self.sparing, self.gathering = Sparing(), Gathering()


class System:
    """One run of the simulation."""

    def __init__(self, demands: Demands, run: Run) -> None:
        self.demands, self.run = demands, run
        self.env = env = simpy.Environment()
        self.chance = random.Random(run.seed)
        hosts = run.hosts
        # Who wakes whom matters on one machine; from other hosts it is the network that wakes.
        self.web: Processor | Cores = (
            Cores(env, hosts.web, sticky=demands.sticky, chance=self.chance)
            if hosts.database is None
            else Processor(env, hosts.web)
        )
        self.database = Processor(env, hosts.database) if hosts.database else self.web
        self.worker = Processor(env, hosts.worker) if hosts.worker else self.web
        self.log = Log(
            env,
            self.database,
            self.chance,
            flush_seconds=demands.flush_seconds,
            bytes_per_second=demands.flush_bytes_per_second,
            cpu_seconds=demands.flush_cpu,
        )
        self.queue: simpy.Store = simpy.Store(env)
        # Celery takes four messages a process ahead.
        self.taken: simpy.Store = simpy.Store(env, 4 * max(1, run.workers))
        self.pending: Counter[int] = Counter()
        self.folded_at: dict[int, float] = {}
        self.circulating: set[int] = set()
        self.being_folded: set[int] = set()
        self.held: set[int] = set()
        self.took: list[float] = []
        self.in_database_seconds = 0.0
        self.messages = self.folds = self.counters_folded = 0
        crowded = CROWDED if run.calls_per_second else run.writers
        if run.batch == 1:
            self.client = demands.add_client.of(crowded)
            self.postgres = demands.add_postgres.of(crowded)
            self.wal_bytes = demands.add_wal_bytes
        else:
            self.client = demands.batch_client.of(run.batch)
            self.postgres = demands.batch_postgres.of(run.batch)
            self.wal_bytes = demands.batch_wal_bytes.of(run.batch)
        # Writers and workers on one machine share the caches. A batch is one loop over its
        # own.
        together = run.workers > 0 and hosts.database is None
        if together and run.batch == 1:
            self.client *= demands.beside_client.of(crowded)
        beside_postgres = demands.beside_postgres.of(crowded)
        if run.workers:
            beside_batch = demands.beside_batch.of(run.batch)
            self.postgres *= beside_batch if run.batch > 1 else beside_postgres
        self.fold_postgres = beside_postgres if run.workers else 1.0
        self.beside_worker = demands.beside_worker.of(crowded) if together else 1.0
        if run.rest:
            self.client = demands.rest.of(run.batch)
        # CPU seconds by who took them.
        self.spent = {"client": 0.0, "postgres": 0.0, "worker": 0.0}

    def predict(self) -> Predicted:
        run, env = self.run, self.env
        writers = [_Writer(env) for _ in range(run.writers)]
        for writer in writers:
            env.process(self._publish(writer))
            if run.calls_per_second is None:
                env.process(self._write(writer))
        if run.calls_per_second is not None:
            env.process(self._arrive(writers, run.calls_per_second))
        for _ in range(run.consumers):
            env.process(self._consume())
        for _ in range(run.workers):
            env.process(self._work())
        env.run(run.warm_up)
        before = self._meters()
        self.took.clear()
        env.run(run.warm_up + run.seconds)
        return self._summed_up(before)

    def _write(self, writer: _Writer) -> Generator:
        while True:
            yield from self._call(writer)

    def _arrive(self, writers: list[_Writer], calls_per_second: float) -> Generator:
        while True:
            yield self.env.timeout(self.chance.expovariate(calls_per_second))
            self.env.process(self._call(self.chance.choice(writers)))

    def _call(self, writer: _Writer) -> Generator:
        began = self.env.now
        yield self._client(self.client)
        asked = self.env.now
        yield self.env.timeout(self.demands.round_trip)
        yield self._postgres(self.postgres)
        yield self.log.commit(self.wal_bytes)
        self.in_database_seconds += self.env.now - asked
        self.took.append(self.env.now - began)
        for _ in range(self.run.batch):
            counter = self.chance.randrange(self.run.counters)
            self.pending[counter] += 1
            writer.waiting.add(counter)
        if not writer.woken.triggered:
            writer.woken.succeed()

    def _publish(self, writer: _Writer) -> Generator:
        while True:
            if not writer.waiting:
                writer.woken = self.env.event()
                yield writer.woken
                yield self.env.timeout(FIRST_GATHER_SECONDS)
            began, postponed = self.env.now, set[int]()
            left: list[int] = []
            while writer.waiting:
                ids = list(islice(writer.waiting, MESSAGE_COUNTERS))
                writer.waiting.difference_update(ids)
                if writer.sparing.asks:
                    yield self._client(self.demands.ask.of(len(ids)))
                left, again = writer.sparing.left(
                    ids, self.circulating, self.being_folded
                )
                postponed.update(again)
                if left:
                    for _ in range(MESSAGE_WAITS):
                        yield self._client(self.demands.message_client / MESSAGE_WAITS)
                    yield from self._send(left)
                    writer.gathering.look(self.env.now, len(self.queue.items))
                if len(ids) < MESSAGE_COUNTERS:
                    break
            writer.waiting |= postponed
            took = self.env.now - began
            yield self.env.timeout(writer.gathering.seconds(took, all_spared=not left))

    def _send(self, ids: list[int], *, comes_back: bool = False) -> Generator:
        # The broker's own work; it stands beside the workers.
        yield self.worker.use(self.demands.message_broker, urgent=True)
        self.messages += 1
        if self.run.workers:
            yield self.queue.put((ids, comes_back))

    def _consume(self) -> Generator:
        """Hand messages on: the worker's main process, beside those that fold."""
        while True:
            message = yield self.queue.get()
            yield self._worker(self.demands.message_consumer)
            yield self.taken.put(message)

    def _work(self) -> Generator:
        demands = self.demands
        while True:
            ids, comes_back = yield self.taken.get()
            yield self._worker(demands.message_worker)
            began = self.env.now
            if comes_back:
                yield self._worker(demands.ask.of(len(ids)))
                self.circulating.difference_update(ids)
                self.being_folded.update(ids)
            yield self._postgres(demands.message_postgres * self.fold_postgres)
            pending = [one for one in ids if self.pending[one]]
            rested = self.env.now - REST_SECONDS
            resting = {one for one in pending if self.folded_at.get(one, -1.0) > rested}
            mine = [one for one in pending if one not in resting | self.held]
            if mine:
                yield from self._fold(mine)
            written_since = [one for one in pending if self.pending[one]]
            pause = pause_seconds(self.env.now - began)
            if written_since:
                yield self._worker(demands.ask.of(len(written_since)))
            if comes_back:
                self.being_folded.difference_update(ids)
            self._circulate(written_since, pause)

    def _fold(self, ids: list[int]) -> Generator:
        demands = self.demands
        self.held.update(ids)
        events = sum(self.pending[one] for one in ids)
        for one in ids:
            del self.pending[one]
            self.folded_at[one] = self.env.now
        yield self._worker(demands.fold_worker.of(len(ids)))
        postgres = demands.fold_postgres.of(len(ids))
        postgres += demands.fold_event_postgres * events
        yield self._postgres(postgres * self.fold_postgres)
        # The fold commits, then the removal of its last writes.
        yield self.log.commit(demands.fold_wal_bytes.of(len(ids)))
        yield self.log.commit(0)
        self.held.difference_update(ids)
        self.folds += 1
        self.counters_folded += len(ids)

    def _circulate(self, ids: list[int], pause: float) -> None:
        turns = [one for one in ids if one not in self.circulating]
        if turns:
            self.circulating.update(turns)
            self.env.process(self._come_back(turns, pause))

    def _come_back(self, ids: list[int], pause: float) -> Generator:
        yield self._worker(self.demands.message_client)
        yield self.env.timeout(pause)
        yield from self._send(ids, comes_back=True)

    # A kernel lets those run next that mostly sleep. Of the processes on one machine these are
    # PostgreSQL's, the broker and the worker: hardly one of them is ever seen waiting for a
    # core. It is the callers that queue for it.

    def _client(self, seconds: float) -> simpy.Event:
        self.spent["client"] += seconds
        return self.web.use(seconds)

    def _postgres(self, seconds: float) -> simpy.Event:
        self.spent["postgres"] += seconds
        return self.database.use(seconds, urgent=True)

    def _worker(self, seconds: float) -> simpy.Event:
        seconds *= self.beside_worker
        self.spent["worker"] += seconds
        return self.worker.use(seconds, urgent=True)

    def _meters(self) -> list[float]:
        return [
            self.web.busy,
            self.database.busy,
            self.worker.busy,
            self.log.busy,
            self.log.flushes,
            self.log.commits,
            self.messages,
            self.counters_folded,
            self.in_database_seconds,
            self.spent["client"],
            self.spent["postgres"] + self.log.flushes * self.demands.flush_cpu,
            self.spent["worker"],
        ]

    def _summed_up(self, before: list[float]) -> Predicted:
        seconds, took = self.run.seconds, sorted(self.took)
        busy, counts, spent = self._since(before)
        web, database, worker, log = busy
        flushes, commits, messages, folded, within = counts
        calls = len(took) / seconds
        return Predicted(
            calls_per_second=calls,
            events_per_second=calls * self.run.batch,
            mean_ms=sum(took) / len(took) * 1000,
            p50_ms=took[len(took) // 2] * 1000,
            p99_ms=took[len(took) * 99 // 100] * 1000,
            web_busy=web / self.web.cores,
            database_busy=database / self.database.cores,
            worker_busy=worker / self.worker.cores,
            log_busy=log,
            flushes_per_second=flushes,
            calls_per_flush=commits / flushes,
            messages_per_second=messages,
            counters_folded_per_second=folded,
            in_database=within,
            pending_events=self.pending.total(),
            client_cpu=spent[0] / calls,
            postgres_cpu=spent[1] / calls,
            worker_cpu=spent[2] / calls,
        )

    def _since(self, before: list[float]) -> tuple[list[float], ...]:
        """Return for each second: how busy stations were, counts, and what was spent."""
        each = [
            (now - then) / self.run.seconds
            for now, then in zip(self._meters(), before, strict=True)
        ]
        return each[:4], each[4:9], each[9:]


def predict(demands: Demands, run: Run) -> Predicted:
    """Simulate a run; the same run with the same seed gives the same answer."""
    return System(demands, run).predict()
