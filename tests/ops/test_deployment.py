"""What cannot be run here is read by its own linter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from docs.site import settings

ROOT = Path(__file__).resolve().parent.parent.parent
OPS = ROOT / "ops"
BIN = Path(sys.executable).parent
MANIFESTS = sorted(
    path
    for path in (OPS / "kubernetes").glob("*.yaml")
    if path.name != "prometheus-adapter-rule.yaml"
)


def passes(*command: str | Path) -> None:
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_container_file__passes_its_linter() -> None:
    passes(BIN / "hadolint", OPS / "container/Dockerfile")


def test_compose_file__is_of_the_compose_specification() -> None:
    passes(
        BIN / "check-jsonschema",
        *("--builtin-schema", "vendor.compose-spec"),
        OPS / "container/compose.yaml",
    )


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_manifest__is_valid_and_has_no_unknown_field(manifest: Path) -> None:
    passes(BIN / "kubernetes-validate", "--strict", "--quiet", manifest)


def test_units__pass_their_verifier(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is not installed")
        pytest.skip("systemd-analyze is not installed")
    for unit in (OPS / "systemd").iterdir():
        # It wants the programs to be there; these are the interpreter's stead.
        text = re.sub(r"/opt/counters/\.venv/bin/\w+", sys.executable, unit.read_text())
        (tmp_path / unit.name).write_text(text)

    passes(analyze, "verify", "--man=no", *sorted(tmp_path.iterdir()))


def test_image__holds_what_the_service_imports() -> None:
    copied = set(
        re.findall(
            r"^COPY (?!--)(\S+) ",
            (OPS / "container/Dockerfile").read_text(),
            re.MULTILINE,
        )
    )

    assert copied == {
        "requirements.txt",
        "manage.py",
        "counters_project",
        "counters",
        "rollups",
    }


def test_settings__that_files_set_are_read_by_the_service() -> None:
    known = {variable.name for variable in settings.variables()}
    compose = yaml.safe_load((OPS / "container/compose.yaml").read_text())
    [config, secret, owner] = yaml.safe_load_all(
        (OPS / "kubernetes/config.yaml").read_text()
    )

    named = (
        compose["services"]["web"]["environment"].keys()
        | config["data"].keys()
        | secret["stringData"].keys()
        | owner["stringData"].keys()
    )

    assert named <= known, named - known


def test_commands__of_every_platform_start_the_same_programs() -> None:
    operations = (ROOT / "docs/operations.md").read_text()
    for program in (
        "gunicorn counters_project.wsgi:application",
        "celery -A counters_project worker --without-gossip --without-mingle",
        "celery -A counters_project beat",
    ):
        assert program in operations
        words = program.split()
        for place in ("container", "systemd", "kubernetes"):
            text = "\n".join(
                path.read_text() for path in (OPS / place).iterdir() if path.is_file()
            )
            plain = re.sub(r'[",\[\]\\\s]+', " ", text)
            assert " ".join(words) in plain, (place, program)
