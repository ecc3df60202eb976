"""The command line of the harness, and what it stands for."""

from __future__ import annotations

import argparse
import random
from argparse import RawDescriptionHelpFormatter
from pathlib import Path

from tests.harness import faults, postgres, stack

DESCRIPTION = """\
Breaks the whole service in every way, under load, and then proves that it counted right.

It starts its own PostgreSQL, broker and cache, and two nodes, each with web, worker and
beat. Client processes add, repeat, hedge and read over REST, and write down every token
before they send it and after it is answered. Meanwhile faults come on a schedule. When all
are healed and everything is folded, what was acknowledged must count exactly once, what was
not at most once, and no read may ever have been impossible.
"""
EXAMPLES = """\
examples:
  python -m tests.harness
      everything: both brokers, both PostgreSQLs, half an hour in all
  python -m tests.harness --seed 7 --broker valkey --postgres 15 --seconds 450
      one part of it; the same seed gives the same faults and the same client operations
  python -m tests.harness --faults "disk full" "database killed" --broker valkey --seconds 60
      only these faults, many times
  python -m tests.harness --hosts --broker rabbitmq --seconds 300
      seven hosts on one machine, and partitions between any two of them
  python -m tests.harness --steps 6 --hold 1 --broker rabbitmq --postgres embedded
      a short form: six steps of a second at most

Needs root for a full disk: it mounts a small file system where nobody else sees it. What
cannot be done on this machine is said, and left out.

exit codes: 0 everything held; 1 something did not, or could not start; 2 wrong usage
"""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.harness",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seed", help="any text or number; without it one is drawn, and printed"
    )
    parser.add_argument(
        "--seconds",
        type=_above_zero,
        default=1800,
        help="of load and faults in all, shared by the combinations (default 1800)",
    )
    parser.add_argument(
        "--steps", type=int, help="take so many steps in each, whatever they last"
    )
    parser.add_argument(
        "--hold",
        type=_above_zero,
        default=4,
        metavar="SECONDS",
        help="the longest that a fault lasts (default 4)",
    )
    parser.add_argument(
        "--broker", choices=[*stack.BROKERS, "all"], default="all", help="default: all"
    )
    parser.add_argument(
        "--postgres",
        choices=[*postgres.KINDS, "all"],
        default="all",
        help="embedded is 18; 15 is the system's (default: all)",
    )
    parser.add_argument(
        "--faults",
        nargs="*",
        choices=faults.NAMES,
        default=faults.NAMES,
        metavar="FAULT",
        help=f"only these, of: {', '.join(faults.NAMES)}",
    )
    parser.add_argument(
        "--hosts",
        action="store_true",
        help="each part on a host of its own (a network namespace), with partitions",
    )
    parser.add_argument("--clients", type=int, default=3, help="processes (default 3)")
    parser.add_argument(
        "--rate",
        type=_above_zero,
        default=30,
        help="operations a second of each client (default 30)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIRECTORY",
        help="keep logs and ledgers of runs that failed there (default: a new one)",
    )
    options = parser.parse_args(arguments)
    options.seed = options.seed or str(random.SystemRandom().randrange(1_000_000))
    return options


def combinations(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the (PostgreSQL, broker) pairs that are asked for."""
    chosen_postgres = (
        postgres.KINDS if options.postgres == "all" else [options.postgres]
    )
    chosen_brokers = stack.BROKERS if options.broker == "all" else [options.broker]
    return [(one, broker) for one in chosen_postgres for broker in chosen_brokers]


def _above_zero(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value
