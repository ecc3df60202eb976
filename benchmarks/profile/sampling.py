"""Samples a running Python process with py-spy."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.profile import groups

RATE = 400


def sample(pid: int, *, seconds: float) -> dict[str, float]:
    """Return the share of all the time that each group of functions ran Python.

    That is, held the interpreter's lock: py-spy cannot tell a thread that waits from one
    that runs on every kernel. So the kernel's own share of the CPU is in none of them.
    """
    with tempfile.TemporaryDirectory() as directory:
        raw = Path(directory) / "raw"
        command = [str(Path(sys.executable).with_name("py-spy")), "record"]
        command += ["--pid", str(pid), "--duration", str(round(seconds))]
        command += [
            "--rate",
            str(RATE),
            "--format",
            "raw",
            "--output",
            str(raw),
            "--gil",
        ]
        subprocess.run(command, check=True, capture_output=True)
        samples = groups.count(raw.read_text().splitlines())
    return {group: count / (RATE * seconds) for group, count in samples.items()}
