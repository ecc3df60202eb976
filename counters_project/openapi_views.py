"""`GET /api/schema` (OpenAPI 3) and `GET /api/docs` (a page to read and try it)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer2
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from counters.rest.schemas import COMPONENTS
from rollups.rest.openapi_operations import HEALTH


@extend_schema(exclude=True)
class SchemaView(SpectacularAPIView):
    """Serve the description as JSON, or as YAML with `?format=yaml`. Open to everyone."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiYamlRenderer2]
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    throttle_classes: list[Any] = []


class DocsView(SpectacularSwaggerSplitView):
    """Serve Swagger UI from this server's own files, with no script in the page itself."""

    url_name = "schema"
    template_name_js = "counters_project/docs.js"
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    throttle_classes: list[Any] = []


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describe how a client sends its API token."""

    target_class = "counters.rest.base_view.ApiTokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "An API token, sent as `Authorization: Token …` or `Bearer …`.",
        }


def finish(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add what the views cannot say: shared bodies, health, and which bodies are required."""
    result["components"]["schemas"] = COMPONENTS
    result["paths"] |= HEALTH
    for path in result["paths"].values():
        for call in path.values():
            if "requestBody" not in call:
                continue
            content = call["requestBody"]["content"]["application/json"]
            body = COMPONENTS[content["schema"]["$ref"].rsplit("/", 1)[-1]]
            call["requestBody"]["required"] = "required" in body
    return result
