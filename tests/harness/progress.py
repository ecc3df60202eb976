"""Says what the harness is doing: a bar on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Shown:
    """The progress of all combinations together, by their seconds of load."""

    def __init__(self, console: Console, *, seconds: float) -> None:
        self._console = console
        self._bar = Progress(
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=seconds)
        self._part = ""
        self._part_began = time.monotonic()
        self._before = 0.0
        self._share = seconds

    def begin(self, part: str, *, share: float) -> None:
        """Go on to the next combination, which takes `share` seconds."""
        if self._part:
            self._before += self._share
        self._part, self._share = part, share
        self._part_began = time.monotonic()
        self.say("starting servers and service")

    def say(self, doing: str) -> None:
        if not self._console.is_terminal:
            self._console.print(f"{time.strftime('%H:%M:%S')} {self._part}: {doing}")
        so_far = min(time.monotonic() - self._part_began, self._share)
        self._bar.update(
            self._task,
            description=f"{self._part}: {doing}",
            completed=self._before + so_far,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
