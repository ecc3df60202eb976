"""Articles in the admin, with their views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from articles.models import Article
from rollups.admin_mixin import CounterAdminMixin

# Django's admin classes take their types only in the stubs.
if TYPE_CHECKING:
    ArticleAdminBase = admin.ModelAdmin[Article]
else:
    ArticleAdminBase = admin.ModelAdmin


@admin.register(Article)
class ArticleAdmin(CounterAdminMixin, ArticleAdminBase):
    list_display = ["title"]
    counter_fields = ["views"]
