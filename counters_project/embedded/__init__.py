"""PostgreSQL and Valkey from Python wheels, for one machine with nothing installed.

Only what settings need is exported here: it must import where the wheels are missing.
"""

from __future__ import annotations

from counters_project.embedded.errors import EmbeddedError
from counters_project.embedded.places import database_url
from counters_project.embedded.private import make_private_dir, secret_key

__all__ = ["EmbeddedError", "database_url", "make_private_dir", "secret_key"]
