"""The list of articles, and an article, which counts its views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.views.generic import DetailView, ListView

from articles.models import Article
from rollups.fields import with_counts

# Django's views take their types only in the stubs.
if TYPE_CHECKING:
    ArticleListBase = ListView[Article]
    ArticleBase = DetailView[Article]
else:
    ArticleListBase, ArticleBase = ListView, DetailView


class ArticleListView(ArticleListBase):
    model = Article
    paginate_by = 50

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        # All counts of the page in one query.
        with_counts(context["object_list"], "views")
        return context


class ArticleView(ArticleBase):
    model = Article

    def get_object(self, queryset: Any = None) -> Article:
        article = super().get_object(queryset)
        article.views.add()
        return article
