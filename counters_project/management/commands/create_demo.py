"""`manage.py create_demo`: prepares the service for a first try."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from knox.auth import TokenAuthentication
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed

from counters.models import Namespace
from counters_project.embedded.data_dir import write_private

NAMESPACE = "demo"
USERNAME = "demo"


class Command(BaseCommand):
    help = (
        "Create the namespace `demo`, the user `demo` and an API token for the user."
        " Existing ones are kept. `make run` calls this at every start."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--token-file",
            type=Path,
            metavar="FILE",
            help="keep the token in FILE (mode 0600): reuse it while it is valid, otherwise write"
            " a new one. Without this option a new token is printed.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        Namespace.objects.get_or_create(
            name=NAMESPACE, defaults={"description": "For a first try of the service."}
        )
        file: Path | None = options["token_file"]
        if file is None:
            self.stdout.write(_new_token())
        elif not _is_valid(file):
            write_private(file, _new_token() + "\n")


def _new_token() -> str:
    users = get_user_model().objects
    name: dict[str, Any] = {users.model.USERNAME_FIELD: USERNAME}
    user, created = users.get_or_create(**name)
    if created:
        # The person who started the service may do everything with it, by token only.
        user.is_superuser = True
        user.set_unusable_password()
        user.save()
    _, token = AuthToken.objects.create(user)
    return str(token)


def _is_valid(file: Path) -> bool:
    try:
        TokenAuthentication().authenticate_credentials(file.read_bytes().strip())
    except (FileNotFoundError, AuthenticationFailed):
        return False
    return True
