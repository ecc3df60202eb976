from __future__ import annotations

import logging

import pytest
from django.contrib.auth.models import Group
from django.template import Context, Template

from counters import events
from counters.models import Namespace
from rollups.fields import AttachedCounter
from rollups.folding.fold import fold

pytestmark = pytest.mark.usefixtures("triggers")


@pytest.fixture
def hits(committed_namespace: Namespace) -> AttachedCounter:
    recorded = events.add(namespace="test", name="hits", delta=1_234_567)
    fold([recorded.counter_id])
    return AttachedCounter("test", "hits", "hits")


def rendered(template: str, **context: object) -> str:
    return Template("{% load rollup_counts %}" + template).render(Context(context))


@pytest.mark.parametrize(
    "template", ['{% count "test" "hits" %}', "{% count_of hits %}"]
)
def test_count__is_grouped(hits: AttachedCounter, template: str) -> None:
    # In the reader's language where Django translates: tests/examples/test_blog.py.
    assert rendered(template, hits=hits) == "1,234,567"


def test_count__of_nothing_yet_is_0(namespace: Namespace) -> None:
    nothing = AttachedCounter("test", "nobody", "hits")

    assert rendered('{% count "test" "nobody" %}') == "0"
    assert rendered("{% count_of nothing %}", nothing=nothing) == "0"


def test_count__takes_an_accuracy(hits: AttachedCounter) -> None:
    hits.add(3)

    assert rendered('{% count "test" "hits" accuracy="accurate" %}') == "1,234,570"
    assert rendered('{% count_of hits "accurate" %}', hits=hits) == "1,234,570"
    assert rendered("{% count_of hits %}", hits=hits) == "1,234,567"


def test_count__can_be_kept(hits: AttachedCounter) -> None:
    assert (
        rendered('{% count "test" "hits" as n %}<b>{{ n }}</b>') == "<b>1,234,567</b>"
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "template",
    [
        '{% count "nowhere" "hits" %}',
        '{% count "test" "" %}',
        '{% count "test" "hits" "exact" %}',
        "{% count_of counter %}",
    ],
)
def test_count__that_cannot_be_told_is_a_dash_and_a_line_in_the_log(
    namespace: Namespace, caplog: pytest.LogCaptureFixture, template: str
) -> None:
    counter = AttachedCounter("nowhere", "hits", "hits")

    with caplog.at_level(logging.WARNING):
        assert rendered(template, counter=counter) == "–"  # noqa: RUF001

    assert len(caplog.records) == 1


def test_count__of_a_misspelt_attribute_is_a_dash() -> None:
    assert rendered("{% count_of group.views %}", group=Group()) == "–"  # noqa: RUF001
