"""Builders that several test modules share: folds, grants, open transactions, kinds of token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from counters.models import Grant, LastWrite, Namespace
from counters.recording import tokens
from rollups.folding import fold

# Ids are words and not the tokens, so that they are the same in every process of a run.
timed_and_untimed = pytest.mark.parametrize(
    "token", [tokens.new().text, "order 17"], ids=["uuidv7", "text"]
)
every_kind = pytest.mark.parametrize(
    "token",
    [tokens.new().text, str(uuid4()), "order 17"],
    ids=["uuidv7", "uuidv4", "text"],
)


def fold_all() -> fold.Folded:
    """Fold every pending counter."""
    ids = LastWrite.objects.values_list("counter_id", flat=True).distinct()
    return fold.fold(list(ids))


def grant(namespace: Namespace, user: User, rights: str) -> None:
    """Grant some of `read write manage` to a user."""
    named = rights.split()
    Grant.objects.create(
        namespace=namespace,
        user=user,
        can_read="read" in named,
        can_write="write" in named,
        can_manage="manage" in named,
    )


@contextmanager
def open_transaction(statement: str, parameters: Sequence[Any] = ()) -> Iterator[None]:
    """Run a statement in another connection's transaction, and the block before its commit.

    Rolls back if the block raises.
    """
    with closing(connection.copy()) as other:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(statement, parameters)
        yield
        other.commit()


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Run the block in a REPEATABLE READ transaction that has taken its snapshot."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT 1")
        yield
