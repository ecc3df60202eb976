"""The snippets of docs/django.md that need no separate project do what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction
from django.template import Context, Template
from django.test import RequestFactory
from django.test.utils import isolate_apps
from django.urls import resolve

from counters.models import Namespace
from rollups.fields import CounterField
from tests.factories import fold_all

GUIDE = (Path(__file__).resolve().parent.parent / "docs/django.md").read_text()

pytestmark = pytest.mark.usefixtures("triggers")


@isolate_apps("tests")
def article_model() -> Any:
    class Article(Group):
        views = CounterField(namespace="articles")

        class Meta:
            proxy = True
            app_label = "tests"

    return Article


Article = article_model()


def snippet(word: str, language: str = "python") -> str:
    """Return the one block of the guide that holds this word."""
    blocks = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    [found] = [block for block in blocks if word in block]
    return str(found)


def run(word: str, **given: Any) -> dict[str, Any]:
    exec(snippet(word), given)  # noqa: S102
    return given


@pytest.fixture
def article(transactional_db: None) -> Any:
    Namespace.objects.create(name="articles")
    Namespace.objects.create(name="demo")
    return Article.objects.create(pk=42, name="news")


def test_guide__counts(article: Any) -> None:
    given = {"article": article, "Article": Article, "transaction": transaction}

    run("article.views.add()  # 1", order=SimpleNamespace(pk=17), **given)
    run("article.views.add()  # 1", order=SimpleNamespace(pk=17), **given)

    # 5 once, because the order's key is its token.
    assert article.views.read(accuracy="accurate").count == 5 + 2 * 3


def test_guide__lists(article: Any, capsys: pytest.CaptureFixture[str]) -> None:
    article.views.add(7)
    fold_all()

    run("list_counters(")

    assert capsys.readouterr().out == "auth.group:42:views 7\n"


def test_guide__shows_counts_in_templates(article: Any) -> None:
    article.views.add(1234)
    fold_all()

    page = Template(snippet("{% load rollup_counts %}", "html")).render(
        Context({"article": article})
    )

    assert page.split() == ["1234", "views", "1,234", "views", "0", "visits", "1,234"]


def test_guide__counts_in_async_views(article: Any) -> None:
    view = run("sync_to_async", Article=Article)["article_view"]
    request = RequestFactory().get("/")

    answers = [async_to_sync(view)(request, article.pk).content for _ in range(2)]

    assert answers == [b'{"views": 1}', b'{"views": 2}']


def test_guide__serves_the_api_and_the_operations_page() -> None:
    urls: Any = ModuleType("tests.guide_urls")
    urls.urlpatterns = [
        *run("rollups.rest.urls")["urlpatterns"],
        *run("rollups.pages.urls")["urlpatterns"],
    ]

    served = {
        path: resolve(path, urls).view_name
        for path in ("/ops", "/metrics", "/readyz", "/api/v1/namespaces", "/admin/")
    }

    assert all(served.values())


def test_async_call__without_the_wrapper_is_an_error_that_counts_nothing(
    article: Any,
) -> None:
    async def view() -> None:
        article.views.add()

    with pytest.raises(SynchronousOnlyOperation):
        async_to_sync(view)()
    assert article.views.read(accuracy="accurate").count == 0
