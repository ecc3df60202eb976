"""Django's admin classes as base classes. They take the types of models only in the stubs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Any]
    InlineBase = admin.TabularInline[Any, Any]
    # Of mixins that go before one of the classes above.
    AdminMixinBase = admin.ModelAdmin[Any]
    OptionsMixinBase = admin.options.BaseModelAdmin[Any]
else:
    AdminBase = admin.ModelAdmin
    InlineBase = admin.TabularInline
    AdminMixinBase = OptionsMixinBase = object
