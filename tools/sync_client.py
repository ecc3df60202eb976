"""Write the client's code for threads from its code for tasks: `make sync-client`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

PACKAGE = Path(__file__).parent.parent / "client" / "fold_counters_client"
MODULES = ("batcher.py", "client.py")
# `unasync` removes `async` and `await`, and knows the names of the standard library.
NAMES = {
    "_async": "_sync",
    "async_sleep": "sleep",
    "async_wait": "wait",
    "asyncio": "threading",
    "AsyncBackground": "Background",
    "AsyncBaseTransport": "BaseTransport",
    "AsyncBatcher": "Batcher",
    "AsyncClient": "Client",
    "aclose": "close",
}
HEADER = "# Made from _async/{module} by `make sync-client`. Change that file, not this one.\n"


def generate() -> dict[Path, str]:
    """Return the text of each file in `_sync`, by its path."""
    source = PACKAGE / "_async"
    with tempfile.TemporaryDirectory() as place:
        rule = unasync.Rule(f"{source}/", f"{place}/", additional_replacements=NAMES)
        unasync.unasync_files([str(source / module) for module in MODULES], [rule])
        return {
            path: _formatted(
                HEADER.format(module=path.name) + (Path(place) / path.name).read_text(),
                path,
            )
            for path in (PACKAGE / "_sync" / module for module in MODULES)
        }


def _formatted(code: str, path: Path) -> str:
    # Without `await` the imports may sort differently, and a loop may be a `yield from`.
    fix = ["check", "--quiet", "--fix", "--unsafe-fixes", "--select=I,UP028"]
    for command in (fix, ["format"]):
        code = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "ruff", *command, f"--stdin-filename={path}", "-"],
            input=code,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    return code


if __name__ == "__main__":
    for path, code in generate().items():
        path.write_text(code)
