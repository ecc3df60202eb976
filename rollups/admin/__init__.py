"""The read side in Django's admin: counters, what sweeps found, what is set apart."""

from __future__ import annotations

from rollups.admin.counters import CounterAdmin
from rollups.admin.lists import ClosingAdmin, FailureAdmin, SweepAdmin

__all__ = ["ClosingAdmin", "CounterAdmin", "FailureAdmin", "SweepAdmin"]
