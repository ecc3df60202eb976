"""Subcommands that grant rights, make API tokens, and print the service role's SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from counters.db import roles
from counters.errors import stamp
from counters.namespaces import access, api_tokens
from rollups.commands.base import (
    NAMESPACE,
    Output,
    arg,
    flag,
    subcommand,
    whole_number,
)

_HOLDER = (
    NAMESPACE,
    arg("user", help="a user's name, or a group's with --group"),
    flag("--group", "the name is a group's"),
)


@subcommand(
    "grant",
    "Grant a user or a group rights in a namespace.",
    *_HOLDER,
    arg("right", nargs="+", choices=access.RIGHTS, help="one or more rights"),
    about="""\
The rights are added to those that the user or group has. Running processes use them within seconds.

rights:
  read     read counters, lists and series
  write    add and clear
  manage   change the namespace; delete it or its counters""",
    examples="""\
  manage.py counters grant demo alice read write
  manage.py counters grant demo analysts read --group
""",
)
def grant(out: Output, options: Any) -> None:
    granted = access.grant(
        namespace=options.namespace,
        to=options.user,
        rights=options.right,
        is_group=options.group,
    )
    _answer_rights(out, options, access.rights_of(granted))


@subcommand(
    "revoke",
    "Revoke rights in a namespace from a user or a group.",
    *_HOLDER,
    arg(
        "right",
        nargs="*",
        # argparse checks the empty list against the choices, too.
        choices=[*access.RIGHTS, []],
        metavar="right",
        help="read, write or manage (default: all)",
    ),
    about="""\
Revokes all rights unless some are named. Running processes use the change within seconds. Rights that a
user has as a member of a group stay; revoke them from the group.""",
    examples="""\
  manage.py counters revoke demo alice write      alice may still read
  manage.py counters revoke demo alice            alice no longer sees the namespace
  manage.py counters revoke demo analysts --group
""",
)
def revoke(out: Output, options: Any) -> None:
    left = access.revoke(
        namespace=options.namespace,
        of=options.user,
        rights=options.right or access.RIGHTS,
        is_group=options.group,
    )
    _answer_rights(out, options, [] if left is None else access.rights_of(left))


@subcommand(
    "create-token",
    "Create an API token for a user.",
    arg("user", help="the user's name"),
    arg(
        "--expires-in",
        type=whole_number(1, 36_500, of="days"),
        metavar="DAYS",
        help="days after which the token stops working (default: never)",
    ),
    about="""\
The token is printed once. The database keeps only its hash. Send the token as
`Authorization: Token ...`. It has the rights of its user: see `manage.py counters grant`.""",
    examples="""\
  manage.py counters create-token alice
  manage.py counters create-token robot --expires-in 90 > token.txt
""",
)
def create_token(out: Output, options: Any) -> None:
    days = options.expires_in
    expires_in = timedelta(days=days) if days else None
    kept, token = api_tokens.create(user=options.user, expires_in=expires_in)
    expires = stamp(kept.expires_at) if kept.expires_at else None
    # Standard output has only the token, for files and variables.
    out.answer(
        {
            "token": token,
            "prefix": kept.prefix,
            "user": kept.user,
            "expires_at": expires,
        },
        token,
    )
    if not out.as_json:
        out.warn(
            "Keep the token now; it is not shown again. To revoke it:"
            f" manage.py counters revoke-token {kept.prefix}"
            f" (expires: {expires or 'never'})"
        )


@subcommand(
    "list-tokens",
    "List the API tokens by their first characters.",
    arg("--user", help="only the tokens of this user"),
    about="The whole tokens are not stored anywhere.",
    examples="""\
  manage.py counters list-tokens
  manage.py counters list-tokens --user alice --json
""",
)
def list_tokens(out: Output, options: Any) -> None:
    keys = ("prefix", "user", "created_at", "expires_at")
    rows = [
        (
            one.prefix,
            one.user,
            stamp(one.created_at),
            stamp(one.expires_at) if one.expires_at else None,
        )
        for one in api_tokens.list_all(user=options.user)
    ]
    out.answer_list(
        [dict(zip(keys, row, strict=True)) for row in rows],
        ("begins with", "user", "created", "expires"),
        [(*row[:3], row[3] or "never") for row in rows],
    )


@subcommand(
    "revoke-token",
    "Revoke an API token, named by its first characters.",
    arg(
        "prefix",
        help=f"the first {api_tokens.LEAST_PREFIX} characters or more, enough to match only"
        " one token",
    ),
    about="The token works for at most two more seconds.",
    examples="""\
  manage.py counters list-tokens
  manage.py counters revoke-token 3f9c1a2b
""",
)
def revoke_token(out: Output, options: Any) -> None:
    revoked = api_tokens.revoke(options.prefix)
    out.answer(
        {"prefix": revoked.prefix, "user": revoked.user},
        f"Revoked {revoked.prefix} of {revoked.user}.",
    )


@subcommand(
    "role-sql",
    "Print the SQL that grants a role the rights of web, worker and beat.",
    arg("role", help="the database role of the service"),
    about="""\
The SQL grants no other rights. Run this command and its SQL as the owner of the tables, after
every migration. docs/operations.md lists what the owner still has to do.""",
    examples="""\
  psql "$OWNER_URL" -c "CREATE ROLE counters_service LOGIN PASSWORD '...'"
  DATABASE_URL="$OWNER_URL" manage.py counters role-sql counters_service | psql "$OWNER_URL"
""",
)
def role_sql(out: Output, options: Any) -> None:
    statements = roles.statements(options.role)
    # One transaction: a running service is never without its rights.
    script = ["\\set ON_ERROR_STOP on", *(f"{one};" for one in ["BEGIN", *statements])]
    out.answer(statements, "\n".join([*script, "COMMIT;"]))


def _answer_rights(out: Output, options: Any, rights: Sequence[str]) -> None:
    namespace, holder = options.namespace, options.user
    out.answer(
        {"namespace": namespace, "holder": holder, "rights": rights},
        f"{holder} may {', '.join(rights) or 'do nothing'} in {namespace}.",
    )
