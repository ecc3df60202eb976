"""What `make audit` makes of the reports of pip and pip-audit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools import audit

SAFE: dict[str, Any] = {"name": "django", "version": "5.2.19", "vulns": []}
VULNERABLE: dict[str, Any] = {
    "name": "django",
    "version": "5.2.1",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.2.2"]}],
}
SKIPPED = {"name": "own", "skip_reason": "not on PyPI"}


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies})


def test_audit__fails_for_a_known_vulnerability() -> None:
    verdict = audit.judge_vulnerable(report(SAFE, VULNERABLE), "osv")

    assert verdict.found == ["django 5.2.1 has PYSEC-1; fixed in 5.2.2"]
    assert (verdict.exit_code, verdict.unknown) == (1, [])


def test_audit__is_content_with_what_is_safe() -> None:
    verdict = audit.judge_vulnerable(report(SAFE), "osv")

    assert (verdict.exit_code, verdict.found, verdict.unknown) == (0, [], [])


@pytest.mark.parametrize("said", ["", "no JSON", "[]", report(SAFE, SKIPPED)])
def test_audit__says_what_nobody_could_tell(said: str) -> None:
    verdict = audit.judge_vulnerable(said, "osv")

    assert (verdict.exit_code, verdict.found) == (0, [])
    assert len(verdict.unknown) == 1


def test_audit__fails_for_a_withdrawn_release() -> None:
    one = {"metadata": {"name": "x", "version": "1"}}

    withdrawn = audit.judge_yanked(json.dumps({"install": [one | {"is_yanked": True}]}))
    kept = audit.judge_yanked(
        json.dumps({"install": [one, one | {"is_yanked": False}]})
    )
    silent = audit.judge_yanked("")

    assert (withdrawn.exit_code, withdrawn.found) == (1, ["x 1 was withdrawn"])
    assert (kept.exit_code, kept.unknown) == (0, [])
    assert (silent.exit_code, len(silent.unknown)) == (0, 1)


def test_audit__asks_the_next_database_and_says_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(module: str, *words: str) -> str:
        if module == "pip":
            return json.dumps({"install": []})
        return report(VULNERABLE) if "pypi" in words else ""

    monkeypatch.setattr(audit, "_run", answer)

    assert audit.main() == 1
    said = capsys.readouterr().out
    assert "FOUND django 5.2.1" in said
    assert "NOT AUDITED vulnerabilities: osv did not answer" in said
