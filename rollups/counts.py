"""Read and clear counters. Import these functions to use counts from Python.

Every argument but the counters of `get_many` is a keyword; namespaces and names are text.
"""

from __future__ import annotations

from rollups.reading.clear import Cleared, clear
from rollups.reading.listing import Page, Place, list_counters
from rollups.reading.many import CounterName, get_many, get_or_zero
from rollups.reading.read import Accuracy, Reading, get
from rollups.reading.series import Bucket, Series, Total, series, total

__all__ = [
    "Accuracy",
    "Bucket",
    "Cleared",
    "CounterName",
    "Page",
    "Place",
    "Reading",
    "Series",
    "Total",
    "clear",
    "get",
    "get_many",
    "get_or_zero",
    "list_counters",
    "series",
    "total",
]
