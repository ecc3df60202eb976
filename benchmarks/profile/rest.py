"""A REST add, one event a request."""

from __future__ import annotations

from benchmarks.profile.remote import profile
from benchmarks.profile.requests import adds


def show(seconds: float) -> None:
    profile("A REST add", adds(), seconds=seconds)
