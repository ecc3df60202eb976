"""The write side in Django's admin: namespaces, grants, API tokens."""

from __future__ import annotations

from counters.admin.grants import GrantAdmin
from counters.admin.namespaces import NamespaceAdmin
from counters.admin.tokens import TokenAdmin

__all__ = ["GrantAdmin", "NamespaceAdmin", "TokenAdmin"]
