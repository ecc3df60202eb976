"""An article, and how often it was viewed."""

from __future__ import annotations

from django.db import models

from rollups.fields import CounterField


class Article(models.Model):
    """Text with a title. Its views are no column: the counter lives in the counters."""

    title = models.CharField(max_length=200)
    text = models.TextField(blank=True)

    views = CounterField(namespace="articles")

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.title
