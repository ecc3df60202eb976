"""Check, grant and revoke rights in namespaces."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, AnonymousUser, Group
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Q, QuerySet

from counters.errors import AccessDenied, AccountNotFound, NamespaceNotFound
from counters.models import Grant, Namespace
from counters.namespaces import lookup
from counters.ttl_cache import Memory

Right = Literal["read", "write", "manage"]
User = AbstractUser | AnonymousUser


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of one user in one namespace."""

    read: bool = False
    write: bool = False
    manage: bool = False


ALL = Rights(read=True, write=True, manage=True)
NONE = Rights()

_memory: Memory[tuple[Any, int], Rights] = Memory()


def check(user: User, namespace: object, right: Right) -> Namespace:
    """Return the namespace if the user has the right in it.

    Raises AccessDenied if the user has only other rights in it. Raises NamespaceNotFound if the
    user has no right in it, so that nobody learns which namespaces exist.
    """
    found = check_visible(user, namespace)
    if not getattr(rights_in(user, found), right):
        raise AccessDenied(found.name, right)
    return found


def check_visible(user: User, namespace: object) -> Namespace:
    """Return the namespace if the user has any right in it; raise NamespaceNotFound."""
    found = lookup.get(namespace)
    if rights_in(user, found) == NONE:
        raise NamespaceNotFound(found.name)
    return found


def rights_in(user: User, namespace: Namespace) -> Rights:
    """Return the rights that the user's own grants and the groups' grants give."""
    if is_superuser(user):
        return ALL
    key = (user.pk, namespace.pk)
    known = _memory.get(key)
    if known is not None:
        return known
    granted = list(
        _grants_of(user)
        .filter(namespace=namespace)
        .values_list("can_read", "can_write", "can_manage")
    )
    rights = Rights(
        read=any(read for read, _, _ in granted),
        write=any(write for _, write, _ in granted),
        manage=any(manage for _, _, manage in granted),
    )
    return _memory.keep(key, rights)


def visible_to(user: User) -> QuerySet[Namespace]:
    """Return the namespaces in which the user has any right."""
    if is_superuser(user):
        return Namespace.objects.using(DEFAULT_DB_ALIAS).all()
    some = Q(can_read=True) | Q(can_write=True) | Q(can_manage=True)
    return Namespace.objects.using(DEFAULT_DB_ALIAS).filter(
        pk__in=_grants_of(user).filter(some).values("namespace")
    )


def may_create_namespaces(user: User) -> bool:
    return hasattr(user, "has_perm") and user.has_perm("counters.add_namespace")


def forget_all() -> None:
    """Discard all cached grants."""
    _memory.forget()


def is_superuser(user: Any) -> bool:
    """Tell whether the user is a superuser; a project's user model may lack the field."""
    return bool(getattr(user, "is_superuser", False))


def _grants_of(user: User) -> QuerySet[Grant]:
    # Grants of groups have no user: None would match them.
    if user.pk is None:
        return Grant.objects.none()
    held = Q(user=user.pk)
    if hasattr(user, "groups"):
        held |= Q(group__in=user.groups.all())
    return Grant.objects.using(DEFAULT_DB_ALIAS).filter(held)


RIGHTS: tuple[Right, ...] = ("read", "write", "manage")


def grant(
    *, namespace: str, to: str, rights: Collection[Right], is_group: bool = False
) -> Grant:
    """Add rights to a user's or group's grant. Every process sees them within seconds.

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
    """Remove rights; return the grant, or None if it has no rights left.

    A user keeps the rights of their groups. Raises NamespaceNotFound, AccountNotFound.
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
