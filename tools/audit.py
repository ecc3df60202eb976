"""Audits the packages: `python -m tools.audit`, or `make audit`.

Two questions, each to somebody who may not be reachable: has the index withdrawn (yanked)
a release, and does a database of vulnerabilities know one in it. A finding fails. Nobody
there to ask does not, but is said, so that silence is never taken for health.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATABASES = ("osv", "pypi")
TIMEOUT_SECONDS = 600


@dataclass
class Verdict:
    """What was found, and what nobody could tell."""

    found: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return 1 if self.found else 0


def judge_yanked(report: str) -> Verdict:
    """Read pip's installation report."""
    try:
        installs = json.loads(report)["install"]
    except (ValueError, KeyError, TypeError):
        return Verdict(unknown=["withdrawn releases: the package index did not answer"])
    return Verdict(
        found=[
            f"{_name(one)} was withdrawn" for one in installs if one.get("is_yanked")
        ]
    )


def judge_vulnerable(report: str, database: str) -> Verdict:
    """Read pip-audit's report; a package that it skipped was not audited."""
    try:
        dependencies = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Verdict(unknown=[f"vulnerabilities: {database} did not answer"])
    verdict = Verdict()
    skipped = sum("skip_reason" in one for one in dependencies)
    for one in dependencies:
        for known in one.get("vulns", []):
            fixed = ", ".join(known.get("fix_versions", [])) or "no release yet"
            verdict.found.append(
                f"{one['name']} {one['version']} has {known['id']}; fixed in {fixed}"
            )
    if skipped:
        verdict.unknown.append(
            f"vulnerabilities: {database} knows nothing of {skipped} of"
            f" {len(dependencies)} packages"
        )
    return verdict


def main() -> int:
    verdicts = [judge_yanked(_run("pip", "install", *_PIP))]
    for database in DATABASES:
        verdict = judge_vulnerable(
            _run("pip_audit", "--vulnerability-service", database, *_PIP_AUDIT),
            database,
        )
        verdicts.append(verdict)
        if not verdict.unknown:
            break
    found = [line for verdict in verdicts for line in verdict.found]
    unknown = [line for verdict in verdicts for line in verdict.unknown]
    for line in found:
        _say(f"FOUND {line}.")
    for line in unknown:
        _say(f"NOT AUDITED {line}.")
    if not found and not unknown:
        _say("No release is withdrawn, and none has a known vulnerability.")
    return max(verdict.exit_code for verdict in verdicts)


_PIP = (
    *("--dry-run", "--ignore-installed", "--quiet", "--report", "-"),
    # Those that are pinned; of the others pip takes no withdrawn one by itself.
    *("--no-deps", "--requirement", str(ROOT / "requirements-dev.txt")),
)
_PIP_AUDIT = ("--format", "json", "--progress-spinner", "off", "--local")


def _run(module: str, *arguments: str) -> str:
    """Run a module of this Python; return what it printed, nothing where it took long."""
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def _name(install: dict[str, Any]) -> str:
    return f"{install['metadata']['name']} {install['metadata']['version']}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
