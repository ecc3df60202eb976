"""The queueing model: known results are reproduced, and Little's law holds."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import simpy

from benchmarks.model import calibrating, fitting, laws, pacing
from benchmarks.model.alone import Alone
from benchmarks.model.demands import Curve, Demands, Line
from benchmarks.model.disk import Disk
from benchmarks.model.log import Log
from benchmarks.model.processor import Cores, Processor
from benchmarks.model.system import Hosts, Predicted, Run, predict
from benchmarks.model.writers import Seen, Turn
from rollups import conf
from rollups.trigger import broker, publisher, spacing, sparing
from rollups.worker import handle

DEMAND = 0.001


class Arrivals:
    """Customers who come at random and ask for exponential work."""

    def __init__(self, *, cores: int, arrivals: float, seconds: float) -> None:
        self.env = simpy.Environment()
        self.processor = Processor(self.env, cores)
        self.chance = random.Random(7)
        self.took: list[float] = []
        self.env.process(self._arrive(arrivals))
        self.env.run(seconds)
        self.throughput = len(self.took) / seconds
        self.response = sum(self.took) / len(self.took)

    def _arrive(self, arrivals: float) -> simpy.events.ProcessGenerator:
        while True:
            yield self.env.timeout(self.chance.expovariate(arrivals))
            self.env.process(self._serve())

    def _serve(self) -> simpy.events.ProcessGenerator:
        began = self.env.now
        yield self.processor.use(self.chance.expovariate(1 / DEMAND))
        self.took.append(self.env.now - began)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_processor__reproduces_one_server(load: float) -> None:
    found = Arrivals(cores=1, arrivals=load / DEMAND, seconds=100)

    wanted = laws.response_of_one_server(arrivals=load / DEMAND, demand=DEMAND)
    assert found.response == pytest.approx(wanted, rel=0.05)
    assert found.processor.busy / 100 == pytest.approx(load, rel=0.03)


@pytest.mark.parametrize("customers", [1, 3, 12])
def test_cores__of_which_jobs_take_one_at_random_are_a_balanced_network(
    customers: int,
) -> None:
    """Two stations that each customer visits alike: X = 2 N / (D (N + 1))."""
    env = simpy.Environment()
    cores = Cores(env, 2, sticky=1.0, chance=random.Random(7))
    work, ended = random.Random(8), []

    def customer() -> simpy.events.ProcessGenerator:
        while True:
            yield cores.use(work.expovariate(1 / DEMAND))
            ended.append(env.now)

    for _ in range(customers):
        env.process(customer())
    env.run(40)

    wanted = 2 * customers / (DEMAND * (customers + 1))
    assert len(ended) / 40 == pytest.approx(wanted, rel=0.03)
    assert cores.busy / 40 == pytest.approx(wanted * DEMAND, rel=0.03)


def test_cores__take_the_idle_one_where_nothing_is_sticky() -> None:
    env = simpy.Environment()
    cores = Cores(env, 2, sticky=0.0, chance=random.Random(7))

    env.run(cores.use(1.0) & cores.use(1.0))

    assert env.now == pytest.approx(1.0)


def test_cores__run_what_is_urgent_next_and_do_not_break_off_for_it() -> None:
    env = simpy.Environment()
    core = Cores(env, 1, sticky=0.0, chance=random.Random(7))
    ended: dict[str, float] = {}

    def job(name: str, *, urgent: bool = False) -> simpy.events.ProcessGenerator:
        yield core.use(DEMAND, urgent=urgent)
        ended[name] = env.now

    for name in ("running", "waiting"):
        env.process(job(name))
    env.process(job("urgent", urgent=True))
    env.run()

    wanted = {"running": 1 * DEMAND, "urgent": 2 * DEMAND, "waiting": 3 * DEMAND}
    assert ended == pytest.approx(wanted)


@pytest.mark.parametrize(("cores", "load"), [(2, 0.7), (4, 0.8)])
def test_processor__reproduces_several_servers(cores: int, load: float) -> None:
    arrivals = cores * load / DEMAND

    found = Arrivals(cores=cores, arrivals=arrivals, seconds=50)

    # Exponential work: how many are there does not depend on who is served first.
    wanted = laws.response_of_servers(arrivals=arrivals, demand=DEMAND, servers=cores)
    assert found.response == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("customers", [1, 2, 5, 20])
def test_processors__reproduce_a_closed_network(customers: int) -> None:
    env, chance, ended = simpy.Environment(), random.Random(7), [0]
    demands, delay = [0.001, 0.0004], 0.002
    stations = [Processor(env, 1) for _ in demands]

    def circle() -> simpy.events.ProcessGenerator:
        while True:
            yield env.timeout(chance.expovariate(1 / delay))
            for station, demand in zip(stations, demands, strict=True):
                yield station.use(chance.expovariate(1 / demand))
            ended[0] += 1

    for _ in range(customers):
        env.process(circle())
    env.run(60)

    wanted = laws.closed_throughput(customers=customers, demands=demands, delay=delay)
    assert ended[0] / 60 == pytest.approx(wanted, rel=0.03)


def test_log__settles_all_that_wait_in_one_flush() -> None:
    env = simpy.Environment()
    log = Log(
        env,
        Processor(env, 1),
        random.Random(7),
        flush_seconds=[0.001],
        bytes_per_second=1e6,
        cpu_seconds=0.0,
    )
    at: list[float] = []

    def commit(after: float) -> simpy.events.ProcessGenerator:
        yield env.timeout(after)
        yield log.commit(1_000)
        at.append(env.now)

    # The second and the third come while the first is written.
    for after in (0.0, 0.0005, 0.0015):
        env.process(commit(after))
    env.run()

    assert at == pytest.approx([0.002, 0.005, 0.005])
    assert (log.flushes, log.commits) == (2, 3)


def _demands(**changes: float) -> Demands:
    nothing = Line(0.0, 0.0)
    found: dict[str, Any] = {
        "add_client": Curve([(1, 0.0002), (2, 0.0002)]),
        "add_postgres": Curve([(1, 0.0002), (2, 0.0002)]),
        "add_wal_bytes": 0.0,
        "round_trip": 0.0001,
        "message_client": 0.0,
        "message_broker": 0.0,
        "message_worker": 0.0,
        "message_consumer": 0.0,
        "message_postgres": 0.0,
        "fold_event_postgres": 0.0,
        "flush_cpu": 0.0,
        "flush_bytes_per_second": 1e9,
    }
    return Demands(
        batch_client=nothing,
        batch_postgres=nothing,
        batch_wal_bytes=nothing,
        rest=nothing,
        ask=nothing,
        fold_worker=nothing,
        fold_postgres=nothing,
        fold_wal_bytes=nothing,
        flush_seconds=[0.0001],
        **(found | changes),
    )


@pytest.fixture
def predicted() -> Callable[..., Predicted]:
    def predicted(writers: int, **changes: float) -> Predicted:
        run = Run(writers=writers, hosts=Hosts(2), workers=0)
        return predict(_demands(**changes), run)

    return predicted


@pytest.mark.parametrize("writers", [1, 2, 8, 32])
def test_system__obeys_littles_law(
    predicted: Callable[..., Predicted], writers: int
) -> None:
    found = predicted(writers)

    within = laws.in_system(
        throughput=found.calls_per_second, response=found.mean_ms / 1000
    )
    assert within == pytest.approx(writers, rel=0.01)


@pytest.mark.parametrize("writers", [1, 2, 4, 8, 32])
def test_system__keeps_within_the_bounds(
    predicted: Callable[..., Predicted], writers: int
) -> None:
    found = predicted(writers)

    bounds = laws.bounds(customers=writers, demands=[(0.0004, 2)], delay=0.0002)
    assert found.calls_per_second <= bounds.throughput * 1.001
    # Both ends are reached: one alone waits for nobody, many keep the cores busy.
    if writers == 1:
        assert found.calls_per_second == pytest.approx(bounds.alone, rel=0.01)
    if writers == 32:
        assert found.calls_per_second == pytest.approx(bounds.saturated, rel=0.02)


def test_system__uses_its_cores_as_the_utilisation_law_says(
    predicted: Callable[..., Predicted],
) -> None:
    found = predicted(3)

    wanted = laws.utilisation(
        throughput=found.calls_per_second, demand=0.0004, servers=2
    )
    assert found.web_busy == pytest.approx(wanted, rel=0.01)


def test_system__folds_what_is_written() -> None:
    run = Run(writers=2, hosts=Hosts(2), workers=1, counters=100)

    found = predict(_demands(), run)

    assert found.counters_folded_per_second > 0
    # What a publisher gathers and a counter rests for, and not what piles up.
    assert found.pending_events < 0.2 * found.events_per_second


def test_system__is_the_same_for_the_same_seed(
    predicted: Callable[..., Predicted],
) -> None:
    assert predicted(5) == predicted(5)


def test_fitting__finds_what_sharing_the_cores_costs() -> None:
    """From the CPU that turns took, simulated here with factors that it does not know."""
    alone = _demands(
        message_client=0.0003, message_worker=0.0005, message_postgres=0.0001
    )
    truth = replace(
        alone,
        beside_client=Curve([(3, 1.3), (12, 1.5)]),
        beside_postgres=Curve([(3, 1.2), (12, 1.1)]),
        beside_worker=Curve([(3, 1.8), (12, 1.6)]),
    )
    seen = {}
    for turn in (Turn(3, workers=1), Turn(12, workers=1)):
        run = Run(
            writers=turn.writers,
            hosts=Hosts(2),
            workers=1,
            seconds=fitting.SIMULATED_SECONDS,
        )
        found = predict(truth, run)
        seen[turn] = Seen(
            found.calls_per_second,
            found.mean_ms,
            found.p50_ms,
            found.p99_ms,
            client_cpu=found.client_cpu,
            publisher_cpu=0.0,
            postgres_cpu=found.postgres_cpu,
            worker_cpu=found.worker_cpu,
            wal_bytes=0.0,
            flushes=1.0,
            messages=0.0,
            others=0.0,
        )

    fitted = fitting.beside(alone, seen, cores=2)

    for writers in (3, 12):
        for name in ("beside_client", "beside_postgres", "beside_worker"):
            wanted = getattr(truth, name).of(writers)
            assert getattr(fitted, name).of(writers) == pytest.approx(wanted, rel=0.05)


def test_calibrating__takes_the_demands_from_the_turns() -> None:
    by_itself = Alone(
        *(float(number) for number, _ in enumerate(fields(Alone), start=1))
    )
    disk = Disk([0.0001], cpu_seconds=0.00002, bytes_per_second=1e9)
    seen = {
        turn: Seen(
            2_000.0,
            *(0.5, 0.5, 0.5),
            client_cpu=0.0002 * turn.batch + 1e-6 * turn.writers,
            publisher_cpu=0.0003,
            postgres_cpu=0.0001 * turn.batch + 0.00002,
            worker_cpu=0.0,
            wal_bytes=600.0 * turn.batch,
            flushes=1.0,
            messages=0.5,
            others=0.0,
        )
        for turn in calibrating.TURNS
    }

    demands = calibrating.demands_of(seen, by_itself, disk)

    assert demands.add_client.of(6) == pytest.approx(0.000206)
    assert demands.add_postgres.of(24) == pytest.approx(0.0001)
    assert demands.batch_postgres.of(100) == pytest.approx(0.01)
    assert demands.message_client == pytest.approx(0.0006)
    # What is left of a single writer's half millisecond.
    assert demands.round_trip == pytest.approx(0.0005 - 0.000201 - 0.00012 - 0.00008)
    assert demands.fold_worker.of(1) == pytest.approx(by_itself.fold_one_worker)
    assert demands.fold_postgres.of(100) == pytest.approx(by_itself.fold_many_postgres)


def test_curve__is_straight_between_what_was_measured() -> None:
    curve = Curve([(4, 100.0), (8, 110.0), (32, 310.0)])

    assert curve.of(8) == pytest.approx(110.0)
    assert curve.of(16) == pytest.approx(210.0)
    # Fewer than the first, more than the last: nobody knows.
    assert curve.of(1) == curve.of(4) == pytest.approx(100.0)
    assert curve.of(32) == curve.of(500) == pytest.approx(310.0)


def test_pacing__is_the_products_own() -> None:
    assert pacing.MESSAGE_COUNTERS == publisher.MESSAGE_COUNTERS
    assert pacing.MOST_PASSED == sparing._MOST_PASSED
    assert pacing.FEW_QUEUED == spacing._FEW_QUEUED
    assert broker._LOOK_AFTER_EVERY_SECONDS == pacing.LOOK_EVERY_SECONDS
    ours, models = spacing.Gathering(), pacing.Gathering()
    for second, queued in enumerate([0, 17, 500, 500, 16, 0]):
        models.look(second, queued)
        for took in (0.0, 0.004, 1.0):
            for all_spared in (False, True):
                gathers = ours.seconds(took, all_spared=all_spared, queued=queued)
                assert models.seconds(took, all_spared=all_spared) == gathers
    assert conf.fold_rest_seconds() == pacing.REST_SECONDS
    assert pacing.PAUSE_TIMES_FOLDING == handle._PAUSE_TIMES_FOLDING
    assert pacing.LONGEST_PAUSE_SECONDS == handle._LONGEST_CROWDED_PAUSE_SECONDS


def test_sparing__leaves_out_what_circulates() -> None:
    spared = pacing.Sparing()

    assert spared.asks
    assert spared.left([1, 2, 3], {2}, {3}) == ([1], [3])
    assert spared.left([1, 2], set(), set()) == ([1, 2], [])
    # Nothing was spared the last time, so this time nobody asks.
    assert spared.left([1, 2], {2}, set()) == ([1, 2], [])
