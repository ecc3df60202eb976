"""Admin pages of the write side: namespaces, grants and API tokens (if knox is installed)."""

from __future__ import annotations

from django.apps import apps

from counters.admin.grants import GrantAdmin
from counters.admin.namespaces import NamespaceAdmin

__all__ = ["GrantAdmin", "NamespaceAdmin"]

# A project may have the counters without their API, and then without knox.
if apps.is_installed("knox"):
    from counters.admin.tokens import TokenAdmin

    __all__ += ["TokenAdmin"]
