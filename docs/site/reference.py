"""Writes the reference pages from the code: settings, metrics, errors and commands."""

from __future__ import annotations

from pathlib import Path

from docs.site import commands, errors, metrics, settings

PAGES = {
    "settings": settings.text,
    "metrics": metrics.text,
    "errors": errors.text,
    "commands": commands.text,
}
INDEX = """# Reference

Made from the code when this site is built.

```{toctree}
settings
metrics
errors
commands
```
"""


def write(directory: Path) -> None:
    """Write one page each into the directory, which is not kept in git. Django is set up."""
    directory.mkdir(exist_ok=True)
    for name, text in PAGES.items():
        (directory / f"{name}.md").write_text(text())
    (directory / "index.md").write_text(INDEX)
