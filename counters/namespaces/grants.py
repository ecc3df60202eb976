"""Granting users and groups what they may do in a namespace, and taking it back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

from counters.errors import AccountNotFound
from counters.models import Grant
from counters.namespaces import lookup
from counters.namespaces.access import Right

RIGHTS: tuple[Right, ...] = ("read", "write", "manage")


def grant(
    *, namespace: str, to: str, rights: Collection[Right], is_group: bool = False
) -> Grant:
    """Grant rights on top of those that are there; works in every process in seconds.

    Raises NamespaceNotFound, AccountNotFound.
    """
    holder = _holder(to, is_group=is_group)
    with transaction.atomic():
        granted, _ = Grant.objects.select_for_update().get_or_create(
            namespace=lookup.get(namespace), **holder
        )
        for right in rights:
            setattr(granted, f"can_{right}", True)
        granted.save()
    return granted


def revoke(
    *, namespace: str, of: str, rights: Collection[Right], is_group: bool = False
) -> Grant | None:
    """Take rights back; return what is left, None where nothing is.

    What a user has by a group is the group's. Raises NamespaceNotFound, AccountNotFound.
    """
    holder = _holder(of, is_group=is_group)
    with transaction.atomic():
        granted = (
            Grant.objects.select_for_update()
            .filter(namespace=lookup.get(namespace), **holder)
            .first()
        )
        if granted is None:
            return None
        for right in rights:
            setattr(granted, f"can_{right}", False)
        if rights_of(granted):
            granted.save()
            return granted
        granted.delete()
    return None


def rights_of(granted: Grant) -> list[Right]:
    return [right for right in RIGHTS if getattr(granted, f"can_{right}")]


def _holder(name: str, *, is_group: bool) -> dict[str, Any]:
    if is_group:
        group = Group.objects.filter(name=name).first()
        if group is None:
            raise AccountNotFound("group", name)
        return {"group": group}
    return {"user": user_named(name)}


def user_named(name: str) -> Any:
    """Return the user; raise AccountNotFound."""
    users = get_user_model()
    try:
        # As Django's log-in does: by USERNAME_FIELD and the model's own manager.
        return users._default_manager.get_by_natural_key(name)
    except users.DoesNotExist as error:
        raise AccountNotFound("user", name) from error
