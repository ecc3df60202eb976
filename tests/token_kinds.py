"""The kinds of token that a test of repeats is run with."""

from __future__ import annotations

from uuid import uuid4

import pytest

from counters.recording import tokens

# Ids are words and not the tokens: they are to be the same in every process of a run.
timed_and_untimed = pytest.mark.parametrize(
    "token", [tokens.new().text, "order 17"], ids=["uuidv7", "text"]
)
every_kind = pytest.mark.parametrize(
    "token",
    [tokens.new().text, str(uuid4()), "order 17"],
    ids=["uuidv7", "uuidv4", "text"],
)
