"""Python's garbage collector, which must not hold up requests."""

from __future__ import annotations

import gc


def keep_what_is_loaded() -> None:
    """Take what is loaded by now out of what the collector looks through; call it once loaded.

    Django, its apps and this service are some hundred thousand objects that live as long as
    the process. Each full collection looks through all of them: 75 to 180 ms on a busy
    machine, during which a process answers nobody; without them it takes 5 to 15.
    """
    # First, or garbage of start-up would be kept as well.
    gc.collect()
    gc.freeze()
