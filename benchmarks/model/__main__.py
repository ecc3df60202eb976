"""`python -m benchmarks.model`: what the service takes, by a calibrated queueing model."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import ground
from benchmarks.model import (
    calibrating,
    demands,
    extrapolating,
    measuring,
    page,
    plots,
    validating,
    writers,
)
from benchmarks.scaling import filling

FIGURES, IMAGES = Path("docs/figures"), Path("docs/images")
SHARES = [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="measure the demands, and the points that the model is held against, anew",
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help=f"write {FIGURES}/capacity-*.md and {IMAGES}/capacity-*.svg",
    )
    options = parser.parse_args()
    if options.calibrate:
        with ground.prepared() as data_dir:
            counter_ids = filling.create_counters(writers.COUNTERS)
            turns = [*calibrating.TURNS, *validating.POINTS]
            seen, alone = measuring.measure(turns, counter_ids, _say)
            measuring.save(seen)
            demands.save(calibrating.calibrate(data_dir, seen, alone, _say))
    known = demands.load()
    compared = validating.compare(known)
    sizes = [extrapolating.simulate(known, batch) for batch in extrapolating.BATCHES]
    tables = {
        "demands": page.demands_table(known),
        "validation": page.validation_table(compared),
        "paper": page.paper_table(
            [extrapolating.on_paper(known, batch) for batch in extrapolating.BATCHES]
        ),
        "simulated": page.simulated_table(sizes),
    }
    for text in tables.values():
        print(text, end="\n\n")
    if options.publish:
        page.write(FIGURES, tables)
        plots.validation(compared, IMAGES / "capacity-validation.svg")
        plots.saturation(
            extrapolating.saturation(known, SHARES), IMAGES / "capacity-saturation.svg"
        )


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
