"""Ask for a confirmation before a form changes data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin.utils import quote
from django.forms import BooleanField, ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from counters.admin.duration_field import SpanField
from counters.admin.typed_bases import AdminMixinBase
from counters.durations import format_duration

_LONGEST_SHOWN = 80


class _NotConfirmed(Exception):
    """Roll back the trial save that shows what a form would change."""

    def __init__(self, form: ModelForm[Any], facts: list[str]) -> None:
        super().__init__()
        self.form = form
        self.facts = facts


class ConfirmingMixin(AdminMixinBase):
    """Show a confirmation page before a form is saved. Put it before `admin.ModelAdmin`.

    The first post saves everything in the form's transaction, says what that changed, and
    rolls it back; so an error appears before the question.
    """

    def consequences(self, form: Any) -> list[str]:
        """Return warnings to show with the question."""
        return []

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except _NotConfirmed as asked:
            return self._ask(request, object_id, asked)

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        if "confirmed" in request.POST:
            return
        facts = [*_of_form(form, change), *_of_formsets(formsets)]
        if facts:
            raise _NotConfirmed(form, facts)

    def _ask(
        self, request: HttpRequest, object_id: str | None, asked: _NotConfirmed
    ) -> HttpResponse:
        name = self.opts.verbose_name
        if object_id is None:
            title, question = f"Add a {name}?", f"Add this {name}?"
            back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_add")
        else:
            title = f"Change a {name}?"
            question = f"Change {asked.form.instance}?"
            back = reverse(
                f"admin:{self.opts.app_label}_{self.opts.model_name}_change",
                args=[quote(object_id)],
            )
        warnings = self.consequences(asked.form)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "trail": self.opts.verbose_name_plural,
            "title": title,
            "question": question,
            "facts": [*asked.facts, *warnings],
            "confirm": "Save",
            "is_danger": bool(warnings),
            "back": back,
            "kept": _posted(request),
        }
        return TemplateResponse(request, "counters/confirm.html", context)


def _of_form(form: ModelForm[Any], change: bool) -> Iterator[str]:
    for name in form.changed_data:
        field: Any = form.fields[name]
        label = str(field.label or name).capitalize()
        after = _said(field, form.cleaned_data.get(name))
        if change:
            yield f"{label}: {_said(field, form[name].initial)} → {after}"
        else:
            yield f"{label}: {after}"


def _of_formsets(formsets: Any) -> Iterator[str]:
    for formset in formsets:
        yield from (f"Added: {one}" for one in formset.new_objects)
        yield from (f"Changed to: {one}" for one, _ in formset.changed_objects)
        yield from (f"Removed: {one}" for one in formset.deleted_objects)


def _said(field: Any, value: Any) -> str:
    """Return a field's value as its form shows it."""
    if isinstance(field, BooleanField):
        return "yes" if value else "no"
    if value is None or value == "":
        return "nothing"
    if isinstance(field, SpanField):
        return format_duration(value)
    if hasattr(field, "queryset") and not hasattr(value, "pk"):
        value = field.queryset.filter(pk=value).first() or value
    choices = dict(getattr(field, "choices", ())) if isinstance(value, str) else {}
    text = str(choices.get(value, value))
    shown = text[:_LONGEST_SHOWN]
    return shown if shown == text else f"{shown}…"


def _posted(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the form as it was filled in, to be sent again."""
    return [
        (name, str(value))
        for name, values in request.POST.lists()
        for value in values
        if name != "csrfmiddlewaretoken"
    ]
