"""`make demo`: a million real events through the service, and every count checked."""

from __future__ import annotations

import sys

from counters_project.place import BASE_DIR

# The Python client lies beside the service and is not installed with it.
sys.path.insert(0, str(BASE_DIR / "client"))
