"""`make demo`: import a million real events and check every count."""

from __future__ import annotations

import sys

from counters_project.runner.config import BASE_DIR

# The Python client is in this repository and is not installed with the service.
sys.path.insert(0, str(BASE_DIR / "client"))
