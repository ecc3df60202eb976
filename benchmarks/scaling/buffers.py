"""How many pages of 8 kB a statement touches: what does not depend on the machine."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any


def touched(app: str, statement: str, **parameters: Any) -> int:
    """Run a statement file under EXPLAIN, undo it, and return the pages that it used."""
    database: Any = import_module("django.db")
    statements: Any = import_module("counters.db.statements")
    text = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statements.load(app, statement)}"
    with database.transaction.atomic(), database.connection.cursor() as cursor:
        cursor.execute(text, parameters)
        [(found,)] = cursor.fetchall()
        database.transaction.set_rollback(True)
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])
