"""`python -m benchmarks.profile.against ../other add-hot`: two checkouts, in turns.

Both use one database, migrated by this checkout; `.` as the other shows the noise. Peers,
such as bare-insert, are of this checkout. Prints medians, and how each compares with the
first line: CPU, because it varies less than wall time on a machine that others use too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from benchmarks.ground import prepared

SETUP = """
CREATE TABLE bench_log (counter_id bigint NOT NULL, token uuid NOT NULL,
  at timestamptz NOT NULL, delta bigint NOT NULL);
CREATE INDEX ON bench_log (counter_id, at);
INSERT INTO counters_counter (namespace_id, name)
  SELECT id, 'c' || i FROM counters_namespace, generate_series(0, 99999) AS i;
INSERT INTO rollups_rollup (counter_id, namespace_id, watermark, watermark_at)
  SELECT id, namespace_id, pg_current_snapshot(), now() FROM counters_counter;
"""
HERE = Path(__file__).parents[2]
FIGURES = ("events/s", "client us", "backend us", "both us", "p50 us")

Turn = dict[str, float]


class Arm:
    """Clients of one checkout that take one kind of step, all at once, turn by turn."""

    def __init__(self, tree: Path, step: str, clients: int) -> None:
        program = [sys.executable, str(HERE / "benchmarks/profile/turn.py")]
        self._program: subprocess.Popen[str] = subprocess.Popen(
            [*program, step, str(clients)],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers()

    def turn(self, seconds: float) -> Turn:
        assert self._program.stdin is not None  # noqa: S101
        self._program.stdin.write(f"{seconds}\n")
        self._program.stdin.flush()
        answers = self._answers()
        events = sum(one["events"] for one in answers)
        client_cpu = sum(one["client_cpu"] for one in answers) / events * 1e6
        backend_cpu = sum(one["backend_cpu"] for one in answers) / events * 1e6
        return {
            "events/s": sum(one["events"] / one["seconds"] for one in answers),
            "client us": client_cpu,
            "backend us": backend_cpu,
            "both us": client_cpu + backend_cpu,
            "p50 us": statistics.median(one["p50"] for one in answers) * 1e6,
        }

    def end(self) -> None:
        self._program.communicate(timeout=30)

    def _answers(self) -> list[Turn]:
        assert self._program.stdout is not None  # noqa: S101
        answers: list[Turn] = json.loads(self._program.stdout.readline())
        return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout; `.`: the noise")
    parser.add_argument("step", help="what both do: see benchmarks/profile/turn.py")
    parser.add_argument("--peers", nargs="*", default=[], help="beside them")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each turn")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with prepared():
        _set_up()
        arms = {
            f"{options.step}, other": Arm(
                options.other.resolve(), options.step, options.clients
            ),
            f"{options.step}, this": Arm(HERE, options.step, options.clients),
            **{peer: Arm(HERE, peer, options.clients) for peer in options.peers},
        }
        turns: dict[str, list[Turn]] = defaultdict(list)
        for _ in range(options.rounds):
            for name, arm in arms.items():
                turns[name].append(arm.turn(options.seconds))
        for arm in arms.values():
            arm.end()
    _show(turns, options)


def _set_up() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(SETUP)
        cursor.execute("VACUUM ANALYZE")


def _show(turns: dict[str, list[Turn]], options: argparse.Namespace) -> None:
    print(
        f"{options.clients} clients, {options.rounds} turns of {options.seconds:g} s each"
    )
    heads = [f"{figure:>12} / first" for figure in FIGURES]
    print(f"{'step':<20}", *heads)
    first = next(iter(turns.values()))
    for name, all_turns in turns.items():
        cells = []
        for figure in FIGURES:
            own = [turn[figure] for turn in all_turns]
            # Of each round, so that what the machine did meanwhile falls out.
            pairs = zip(own, first, strict=True)
            ratio = statistics.median(one / base[figure] for one, base in pairs)
            cells.append(f"{statistics.median(own):>12,.0f} {ratio:>7.2f}")
        print(f"{name:<20}", *cells)


if __name__ == "__main__":
    main()
