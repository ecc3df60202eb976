"""`python -m benchmarks.profile add|fold|rest|batch|statements|crowd`: where the time goes."""

from __future__ import annotations

import argparse
from importlib import import_module

from benchmarks.ground import prepared

JOBS = ("add", "fold", "rest", "batch", "statements", "crowd")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile")
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--seconds", type=float, default=10, help="of sampling")
    options = parser.parse_args()
    with prepared():
        import_module(f"benchmarks.profile.{options.job}").show(options.seconds)


if __name__ == "__main__":
    main()
