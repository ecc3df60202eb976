"""One seeded database for all tests of this folder; each takes back what it writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.plans import seeding
from tests.plans.explaining import MODES
from tests.plans.seeding import Seeded


@pytest.fixture(scope="package")
def seeded(django_db_setup: None, django_db_blocker: Any) -> Iterator[Seeded]:
    with django_db_blocker.unblock():
        found = seeding.seed()
    yield found
    with django_db_blocker.unblock():
        seeding.clean()


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)
