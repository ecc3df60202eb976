"""Admin pages of the read side: counters, sweeps, quarantined counters, archived partitions."""

from __future__ import annotations

from rollups.admin.counters import CounterAdmin
from rollups.admin.lists import ClosingAdmin, FailureAdmin, SweepAdmin

__all__ = ["ClosingAdmin", "CounterAdmin", "FailureAdmin", "SweepAdmin"]
