"""The guarantees that `make guarantees` removes are where it looks for them."""

from __future__ import annotations

import pytest

from tools.remove_guarantees import GUARANTEES, ROOT, Guarantee, places


@pytest.mark.parametrize("guarantee", GUARANTEES, ids=lambda one: one.claim)
def test_guarantee__can_be_removed(guarantee: Guarantee) -> None:
    for file, text, replacement in guarantee.changes:
        assert (ROOT / file).read_text().count(text) == 1, (file, text)
        assert text != replacement
    assert len(places(guarantee.test)) == 1
