"""Admin pages of the read side: counters, sweeps, quarantined counters, archived partitions."""

from __future__ import annotations

from rollups.admin.background import ClosingAdmin, FailureAdmin, SweepAdmin
from rollups.admin.counters import CounterAdmin

__all__ = ["ClosingAdmin", "CounterAdmin", "FailureAdmin", "SweepAdmin"]
