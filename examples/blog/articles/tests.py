"""How a project tests what it counts: with accurate reads, and in any test case."""

from __future__ import annotations

from django.db import transaction
from django.test import TestCase

from articles.models import Article


class ArticleTests(TestCase):
    def setUp(self) -> None:
        self.article = Article(title="Hello")
        self.article.save()

    def views(self) -> int:
        # An eventual count would have to be folded first.
        return self.article.views.read(accuracy="accurate").count

    def test_page_counts_its_views(self) -> None:
        self.client.get(f"/articles/{self.article.pk}/")
        response = self.client.get(f"/articles/{self.article.pk}/")

        self.assertContains(response, "2 views, this one among them")
        self.assertEqual(self.views(), 2)

    def test_view_is_taken_back_with_its_transaction(self) -> None:
        with transaction.atomic():
            self.article.views.add()
            transaction.set_rollback(True)

        self.assertEqual(self.views(), 0)

    def test_list_shows_articles_that_nobody_viewed(self) -> None:
        self.assertContains(self.client.get("/"), "Hello</a>, 0 views")
