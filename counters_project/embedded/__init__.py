"""PostgreSQL and Valkey from Python wheels, for a machine without servers.

This module exports what the settings need; it must import without those wheels.
"""

from __future__ import annotations

from counters_project.embedded.data_dir import (
    EmbeddedError,
    database_url,
    make_private_dir,
    secret_key,
)

__all__ = ["EmbeddedError", "database_url", "make_private_dir", "secret_key"]
