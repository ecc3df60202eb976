"""Form fields to choose users and groups, with or without autocompletion."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.http import HttpRequest

from counters.admin.typed_bases import OptionsMixinBase

# The lookup of the beginning of a user's name; the model need not call it `username`.
USER_NAME_BEGINS = f"user__{get_user_model().USERNAME_FIELD}__startswith"


class SearchedChoicesMixin(OptionsMixinBase):
    """Autocomplete each of `searched_fields` if the admin can search its model.

    A project may register no admin for groups, or one for users without search fields. Then
    Django's plain field is shown. For users it takes the primary key, because a list of all
    users may be long.
    """

    searched_fields: tuple[str, ...] = ()
    raw_id_fields = ("user",)

    def get_autocomplete_fields(self, request: HttpRequest) -> list[str]:
        """Return the fields that can be searched.

        Django checks only `autocomplete_fields`, not what this method returns.
        """
        return [name for name in self.searched_fields if self._searches(name, request)]

    def _searches(self, name: str, request: HttpRequest) -> bool:
        model = self.model._meta.get_field(name).related_model
        if not self.admin_site.is_registered(model):
            return False
        related = self.admin_site.get_model_admin(model)
        return bool(related.get_search_fields(request))
