"""The account that runs PostgreSQL if the service was started by root."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from pathlib import Path

from counters_project.embedded.data_dir import ACCOUNT_NAME, EmbeddedError
from counters_project.runner.processes import Account


def find_account() -> Account | None:
    """Return the account for PostgreSQL, or None if this process is not root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        entry = _make_account()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def own_private_dir(directory: Path, account: Account | None) -> None:
    """Create the directory, private to the account, and let the account reach it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = account.user_id if account else os.geteuid()
    if account is not None:
        os.chown(directory, account.user_id, account.group_id, follow_symlinks=False)
        open_way_to(directory, account)
    if directory.lstat().st_uid != owner:
        raise EmbeddedError(
            f"{directory} belongs to user id {directory.lstat().st_uid}, not to"
            f" {owner}. Start as that user, or set DATA_DIR to another directory."
        )
    directory.chmod(0o700)


def open_way_to(path: Path, account: Account) -> None:
    """Let the account traverse, but not list, the directories above the path."""
    for directory in path.resolve().parents:
        found = directory.stat()
        if found.st_uid != account.user_id and not found.st_mode & stat.S_IXOTH:
            directory.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)


def open_programs(
    binary: Path, directories: list[Path], account: Account | None
) -> None:
    """Let the account run the wheel's programs, even if pip ran with umask 077."""
    if account is None or _can_run(binary, account):
        return
    open_way_to(binary, account)
    if _can_run(binary, account):
        return
    for directory in directories:
        for path in (directory, *directory.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            extra = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
            path.chmod(mode | extra)
    if not _can_run(binary, account):
        raise EmbeddedError(
            f"The account {account.name!r} cannot run {binary}. Run as an ordinary"
            " user, or set DATABASE_URL to your own server."
        )


def _make_account() -> pwd.struct_passwd:
    """Create a system account without login."""
    useradd = ["useradd", "--system", "--no-create-home", "--user-group"]
    try:
        subprocess.run(  # noqa: S603
            [*useradd, "--shell", "/usr/sbin/nologin", ACCOUNT_NAME],
            check=True,
            capture_output=True,
        )
        return pwd.getpwnam(ACCOUNT_NAME)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root, and the account"
            f" {ACCOUNT_NAME!r} could not be created ({error}). Run as an ordinary"
            " user, or set DATABASE_URL to your own server."
        ) from error


def _can_run(binary: Path, account: Account) -> bool:
    try:
        subprocess.run(  # noqa: S603
            [binary, "--version"],
            user=account.user_id,
            group=account.group_id,
            extra_groups=[],
            cwd="/",
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True
