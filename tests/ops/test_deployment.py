"""What cannot be run here is read by its own linter."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from counters_project.runner import command_lines
from counters_project.runner.command_lines import Environment
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
    # libpq reads the password by this name.
    known = {variable.name for variable in settings.variables()} | {"PGPASSWORD"}
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


# What each platform decides: addresses, sizes and paths.
OF_THE_PLATFORM = {
    "web": {"--bind", "--workers", "--worker-tmp-dir"},
    "worker": {"--hostname", "--concurrency"},
    "beat": {"--schedule"},
}


def _options(argv: Sequence[str]) -> dict[str, str]:
    """Return a command's options with their values."""
    options: dict[str, str] = {}
    name = ""
    for word in argv:
        if word.startswith("-"):
            name, _, options[name] = word.partition("=")
        elif name and not options[name]:
            options[name] = word
    if app := options.pop("-A", options.pop("--app", "")):
        options["--app"] = app
    return options


def _argv_of_make_run(role: str, directory: Path) -> list[str]:
    told = Environment(
        data_dir=directory,
        database_url="",
        broker_url="",
        cache_url="",
        allowed_hosts="",
    )
    if role == "web":
        return list(command_lines.web(told, bind="127.0.0.1:8000").argv)
    return list(
        {"worker": command_lines.worker, "beat": command_lines.beat}[role](told).argv
    )


def _argv_of(place: str, role: str) -> list[str]:
    """Return the command that a platform's file starts a role with."""
    if place == "systemd":
        unit = (OPS / f"systemd/counters-{role}.service").read_text()
        [line] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
        return shlex.split(line)
    if place == "kubernetes":
        for document in yaml.safe_load_all(
            (OPS / f"kubernetes/{role}.yaml").read_text()
        ):
            if document["kind"] == "Deployment":
                [container] = document["spec"]["template"]["spec"]["containers"]
                return list(container["command"])
    compose = yaml.safe_load((OPS / "container/compose.yaml").read_text())
    if command := compose["services"][role].get("command"):
        return list(command)
    image = (OPS / "container/Dockerfile").read_text().replace("\\\n", "")
    [line] = re.findall(r"^CMD (.*)$", image, re.MULTILINE)
    return list(json.loads(line))


@pytest.mark.parametrize("role", ["web", "worker", "beat"])
@pytest.mark.parametrize("place", ["container", "systemd", "kubernetes"])
def test_commands__of_every_platform_have_the_options_of_make_run(
    place: str, role: str, tmp_path: Path
) -> None:
    wanted = _options(_argv_of_make_run(role, tmp_path)[3:])
    found = _options(_argv_of(place, role)[1:])

    for options in (wanted, found):
        for name in OF_THE_PLATFORM[role]:
            options.pop(name, None)
    assert found == wanted


@pytest.mark.parametrize("role", ["web", "worker", "beat"])
def test_commands__of_the_documents_have_the_options_of_make_run(
    role: str, tmp_path: Path
) -> None:
    wanted = _options(_argv_of_make_run(role, tmp_path)[3:])
    operations = (ROOT / "docs/operations.md").read_text()
    [line] = re.findall(rf"`COUNTERS_ROLE={role} (.*?)`", operations)

    told = _options(shlex.split(line)[1:])

    assert told.items() <= wanted.items()


def test_compose_file__takes_any_password() -> None:
    """In a URL some characters of a password would need encoding."""
    text = (OPS / "container/compose.yaml").read_text()
    service = yaml.safe_load(text)["x-service"]["environment"]

    assert "POSTGRES_PASSWORD" not in service["DATABASE_URL"]
    assert service["PGPASSWORD"].startswith("${POSTGRES_PASSWORD")
