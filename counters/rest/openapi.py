"""Words in which the API's description (OpenAPI 3) is written: operations and errors.

The descriptions themselves are in `described.py` of each side. Examples of errors are
made by the same code that answers errors, so they cannot drift from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
    extend_schema,
)
from rest_framework import exceptions

from counters.rest.parsers import (
    BodyTooLarge,
    ContentEncoded,
    LengthRequired,
    unknown_parameter,
)
from counters.rest.problems import DATABASE_UNAVAILABLE, MEDIA_TYPE, problem_of

F = TypeVar("F", bound=Callable[..., Any])
Json = dict[str, Any]
# What may go wrong: an error as the code raises it, or a body that it answers.
Failure = Exception | Json

NOT_AUTHENTICATED = exceptions.NotAuthenticated()
WRONG_TOKEN = exceptions.AuthenticationFailed("Invalid token.")
# Every call that reads or writes may answer these.
ALWAYS: tuple[Failure, ...] = (
    NOT_AUTHENTICATED,
    WRONG_TOKEN,
    exceptions.NotAcceptable(),
    exceptions.Throttled(wait=12),
    DATABASE_UNAVAILABLE,
)
# Without a token, by session.
CSRF = exceptions.PermissionDenied("CSRF Failed: CSRF token missing.")
WITH_BODY: tuple[Failure, ...] = (
    exceptions.ParseError("JSON parse error - Expecting value: line 1 column 1"),
    LengthRequired(),
    BodyTooLarge(64 * 1024),
    exceptions.UnsupportedMediaType("text/plain"),
    ContentEncoded("gzip"),
    CSRF,
)
ANSWER_HEADERS = (
    OpenApiParameter(
        "Retry-After",
        {"type": "integer", "minimum": 1},
        OpenApiParameter.HEADER,
        description="Seconds to wait before the call is sent again.",
        response=[429, 503],
    ),
    OpenApiParameter(
        "Accept-Encoding",
        str,
        OpenApiParameter.HEADER,
        description="The encodings of a body that the service accepts.",
        response=[415],
    ),
    OpenApiParameter(
        "WWW-Authenticate",
        str,
        OpenApiParameter.HEADER,
        description="How to authenticate.",
        response=[401],
    ),
    *(
        OpenApiParameter(
            name,
            {"type": "integer", "minimum": 0},
            OpenApiParameter.HEADER,
            description=description,
            response=True,
        )
        for name, description in (
            ("RateLimit-Limit", "Calls a minute; where a limit is set."),
            ("RateLimit-Remaining", "Calls that are left in this minute."),
            ("RateLimit-Reset", "Seconds until the minute ends."),
        )
    ),
)


def operation(
    name: str,
    *,
    tag: str,
    summary: str,
    description: str,
    parameters: Sequence[OpenApiParameter] = (),
    body: Json | None = None,
    body_examples: Mapping[str, Json] | None = None,
    answer: Json | None = None,
    answer_examples: Mapping[str, Json] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    errors: Sequence[Failure] = (),
) -> Callable[[F], F]:
    """Return the decorator that describes one call; `answer=None` is an empty answer.

    The call takes only the query parameters that are described. The decorator stores their
    names on the handler, where CountersView reads them.
    """
    request = None
    if body is not None:
        errors = (*errors, *WITH_BODY)
        request = {
            "application/json": OpenApiRequest(
                body, examples=_examples(body_examples, request_only=True)
            )
        }
    answered = OpenApiResponse(
        answer,
        description=status.phrase,
        examples=_examples(answer_examples, response_only=True),
    )
    key = status.value if answer is None else (status.value, "application/json")
    known = frozenset(
        one.name for one in parameters if one.location == OpenApiParameter.QUERY
    )
    describe = extend_schema(
        operation_id=name,
        tags=[tag],
        summary=summary,
        description=description,
        parameters=[*parameters, *ANSWER_HEADERS],
        request=request,
        responses={
            key: answered,
            **_failures((*errors, unknown_parameter("acuracy", known), *ALWAYS)),
        },
    )

    def decorate(handler: F) -> F:
        handler = describe(handler)
        handler.query_parameters = known  # type: ignore[attr-defined]
        return handler

    return decorate


def query(
    name: str, schema: Json, description: str, *, required: bool = False
) -> OpenApiParameter:
    return OpenApiParameter(
        name, schema, OpenApiParameter.QUERY, required, description=description
    )


def in_path(
    name: str, schema: Json, description: str, example: str
) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        {**schema, "example": example},
        OpenApiParameter.PATH,
        required=True,
        description=description,
    )


def ref(component: str) -> Json:
    return {"$ref": f"#/components/schemas/{component}"}


def obj(properties: Mapping[str, Json], *, optional: Sequence[str] = ()) -> Json:
    """Return the schema of an object that has these fields and no others."""
    described: Json = {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
    }
    if required := [name for name in properties if name not in optional]:
        described["required"] = required
    return described


def text(description: str = "", **rules: Any) -> Json:
    return _described({"type": "string", **rules}, description)


def instant(description: str = "", **rules: Any) -> Json:
    return text(description, format="date-time", **rules)


def whole(description: str = "", **rules: Any) -> Json:
    return _described({"type": "integer", **rules}, description)


def yes_or_no(description: str = "") -> Json:
    return _described({"type": "boolean"}, description)


def _described(schema: Json, description: str) -> Json:
    return {**schema, "description": description} if description else schema


def _failures(failures: Sequence[Failure]) -> dict[Any, OpenApiResponse]:
    """Return one answer a status, with an example for each thing that may go wrong."""
    by_status: dict[int, list[Json]] = {}
    for failure in failures:
        body = failure if isinstance(failure, dict) else problem_of(failure)
        assert body is not None, f"{failure!r} is answered by no problem"  # noqa: S101
        by_status.setdefault(body["status"], []).append(body)
    return {
        (status, MEDIA_TYPE): OpenApiResponse(
            ref("Problem"),
            description=", ".join(
                f"`{code}`" for code in dict.fromkeys(body["code"] for body in bodies)
            ),
            examples=[
                OpenApiExample(
                    f"{body['code']} {number}",
                    body,
                    summary=f"{body['code']}: {body['detail'][:60]}",
                    media_type=MEDIA_TYPE,
                    response_only=True,
                    status_codes=[str(status)],
                )
                for number, body in enumerate(bodies, start=1)
            ],
        )
        for status, bodies in sorted(by_status.items())
    }


def _examples(
    examples: Mapping[str, Json] | None, **only: bool
) -> list[OpenApiExample]:
    return [
        OpenApiExample(title, value, **only)  # type: ignore[arg-type]
        for title, value in (examples or {}).items()
    ]
