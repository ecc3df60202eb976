"""Admin pages of API tokens: create, list by prefix, revoke."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from knox.models import AuthToken

from counters.admin.account_fields import USER_NAME_BEGINS
from counters.admin.pagination import BoundedListMixin
from counters.admin.typed_bases import AdminBase
from counters.errors import AccountNotFound
from counters.namespaces import access, api_tokens
from counters.namespaces.access import user_named

LIFETIMES = {
    "7": "in 7 days",
    "30": "in 30 days",
    "90": "in 90 days",
    "365": "in a year",
    "": "never",
}


class TokenForm(forms.Form):
    """Form for a new token: its user and its expiry."""

    user = forms.CharField(
        max_length=254,  # as long as an e-mail address, which may be the name
        help_text="The name of the user whose grants the token has.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    expires = forms.ChoiceField(
        choices=list(LIFETIMES.items()),
        required=False,
        initial="90",
        help_text="A token that never expires must be revoked when it is no longer used.",
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def clean_user(self) -> str:
        name: str = self.cleaned_data["user"]
        try:
            user = user_named(name)
        except AccountNotFound as error:
            raise forms.ValidationError(error.message) from error
        # A token has all rights of its user. So anyone who may create tokens can act as any
        # user except a superuser: see docs/security.md.
        if access.is_superuser(user) and not access.is_superuser(self._request.user):
            raise forms.ValidationError(
                "Only a superuser may create a token for a superuser."
            )
        return name

    def clean_expires(self) -> timedelta | None:
        days: str = self.cleaned_data["expires"]
        return timedelta(days=int(days)) if days else None


class TokenAdmin(BoundedListMixin, AdminBase):
    change_list_template = "counters/tokens.html"
    list_display = ["begins_with", "user", "created", "expires", "revoke_link"]
    list_display_links = None
    search_fields = ["token_key__startswith", USER_NAME_BEGINS]
    search_help_text = "The beginning of a token, or of a user's name."
    list_select_related = ["user"]
    ordering = ["-created"]

    def get_urls(self) -> list[Any]:
        revoke = self.admin_site.admin_view(self.revoke_view)
        return [
            path("<str:digest>/revoke/", revoke, name="knox_authtoken_revoke"),
            *super().get_urls(),
        ]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Revoking has a page of its own, which names a token by its beginning.
        return False

    @admin.display(description="begins with", ordering="token_key")
    def begins_with(self, token: Any) -> SafeString:
        return format_html("<code>{}</code>", token.token_key)

    @admin.display(description="expires")
    def expires(self, token: Any) -> SafeString | str:
        if token.expiry is None:
            return "never"
        when = timezone.localtime(token.expiry).strftime("%Y-%m-%d %H:%M")
        if token.expiry <= timezone.now():
            return format_html('<span class="badge badge-bad">expired {}</span>', when)
        return when

    @admin.display(description="revoke")
    def revoke_link(self, token: Any) -> SafeString:
        return format_html(
            '<a href="{}">Revoke<span class="visually-hidden"> the token that begins'
            " with {}</span></a>",
            reverse("admin:knox_authtoken_revoke", args=[token.digest]),
            token.token_key,
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list under its own title."""
        more = {"title": "API tokens"} | (extra_context or {})
        return super().changelist_view(request, more)

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Create a token and show it. No other page shows it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TokenForm(request.POST or None, request=request)
        context = self._context(request, title="Create an API token", form=form)
        if request.method == "POST" and form.is_valid():
            kept, token = api_tokens.create(
                user=form.cleaned_data["user"],
                expires_in=form.cleaned_data["expires"],
            )
            _log(request, ADDITION, kept, "Created.")
            context |= {"title": "The API token", "kept": kept, "token": token}
        response = TemplateResponse(request, "counters/token.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def revoke_view(self, request: HttpRequest, digest: str) -> HttpResponseBase:
        if not request.user.has_perm("knox.delete_authtoken"):
            raise PermissionDenied
        token = get_object_or_404(AuthToken.objects.select_related("user"), pk=digest)
        if request.method == "POST":
            kept = api_tokens.revoke(token.token_key)
            _log(request, DELETION, kept, "Revoked.")
            self.message_user(
                request,
                f"The token {kept.prefix}… of {kept.user} is revoked.",
                messages.SUCCESS,
            )
            return redirect("admin:knox_authtoken_changelist")
        context = self._context(
            request,
            title="Revoke an API token?",
            question=f"Revoke the token {token.token_key}… of {token.user}?",
            facts=[
                "Requests with this token are refused after at most two seconds.",
                "It cannot be restored, but you can create a new one.",
            ],
            confirm="Revoke it",
            is_danger=True,
            back=reverse("admin:knox_authtoken_changelist"),
        )
        return TemplateResponse(request, "counters/confirm.html", context)

    def _context(self, request: HttpRequest, **more: Any) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "trail": "API tokens",
            **more,
        }


def _log(
    request: HttpRequest, flag: int, token: api_tokens.ApiToken, message: str
) -> None:
    """Log the action under the token's prefix, never under its digest."""
    LogEntry.objects.create(
        user_id=request.user.pk or 0,
        content_type=ContentType.objects.get_for_model(AuthToken),
        object_id=None,
        object_repr=f"{token.prefix}… of {token.user}",
        action_flag=flag,
        change_message=message,
    )


# Replace knox's own page, which shows digests and puts a new token into a cookie. Keep a page
# that the project registered. Knox registers its page when it is first imported; this import
# does it where knox comes after these apps in INSTALLED_APPS.
import_module("knox.admin")
if admin.site.is_registered(AuthToken):
    registered = type(admin.site.get_model_admin(AuthToken))
    if registered.__module__ == "knox.admin":
        admin.site.unregister(AuthToken)
        admin.site.register(AuthToken, TokenAdmin)
