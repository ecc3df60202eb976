"""How long each fuzz test goes on, and the values that none of ours ever sends."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# `make fuzz` tries many more, and other ones each time.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    # Each example finds what the fixture made: none of them changes it.
    suppress_health_check=list(HealthCheck),
)

# With halves of surrogate pairs, NUL, and what else JSON can bring.
any_text = st.text(st.characters(), max_size=300)
numbers = st.integers() | st.sampled_from([2**53, 2**63 - 1, 2**63, -(2**63) - 1])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | any_text,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(any_text, inner, max_size=5)
    ),
    max_leaves=10,
)
# Instants, tokens and numbers, whole and nearly so.
almost = st.sampled_from(
    [
        "019b76da-a800-7000-8000-0123456789ab",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "00000000-0000-7000-8000-000000000000",
        "2026-01-31T12:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-14:00",
        "2026-02-30T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2026-01-31T12:00:00+99:99",
        "1e5",
        "²",
        "٣",
        "-0",
        "true",
    ]
)
