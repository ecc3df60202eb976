"""Build the API's description (OpenAPI 3): one decorator for each call.

`openapi_operations.py` of each side has the texts. The examples of errors come from the code that
answers errors, so they cannot differ from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
    extend_schema,
)
from rest_framework import exceptions

from counters.errors import MissingValue
from counters.recording.names import WANTED as COUNTER_NAME_WANTED
from counters.rest.parsers import (
    BodyTooLarge,
    ContentEncoded,
    LengthRequired,
    unknown_parameter,
)
from counters.rest.problems import DATABASE_UNAVAILABLE, MEDIA_TYPE, problem_of
from counters.rest.schemas import CounterName, Json, ProblemBody, ref, schema

F = TypeVar("F", bound=Callable[..., Any])
# What may go wrong: an error as the code raises it, or the body of its answer.
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


class Decorator(Protocol):
    """Describes a view's handler."""

    def __call__(self, handler: F, /) -> F: ...


def header(
    name: str, kind: Json, description: str, response: bool | list[int] = False
) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        kind,
        OpenApiParameter.HEADER,
        description=description,
        response=response,
    )


def query(
    name: str, kind: Json, description: str, *, required: bool = False
) -> OpenApiParameter:
    return OpenApiParameter(
        name, kind, OpenApiParameter.QUERY, required, description=description
    )


def in_path(name: str, kind: Json, description: str, example: str) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        {**kind, "example": example},
        OpenApiParameter.PATH,
        required=True,
        description=description,
    )


TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer", "minimum": 0}
ANSWER_HEADERS = (
    header(
        "Retry-After",
        {**NUMBER, "minimum": 1},
        "Seconds to wait before a retry.",
        [429, 503],
    ),
    header("Accept-Encoding", TEXT, "The encodings that the service accepts.", [415]),
    header("WWW-Authenticate", TEXT, "How to authenticate.", [401]),
    header(
        "RateLimit-Limit", NUMBER, "Calls a minute, if there is a limit.", response=True
    ),
    header("RateLimit-Remaining", NUMBER, "Calls left in this minute.", response=True),
    header("RateLimit-Reset", NUMBER, "Seconds until the minute ends.", response=True),
)
NAMESPACE = in_path("namespace", TEXT, "The namespace's name.", "demo")
NAME = in_path(
    "name",
    schema(CounterName),
    "The counter's name, percent-encoded: `page/home` is sent as `page%2Fhome`.",
    "page/home",
)
NAME_IN_QUERY = query("name", schema(CounterName), "The counter's name.", required=True)
NO_PROXY = (
    ", and the answer repeats it. So an encoded path that a proxy changes does no harm."
)
BY_NAME = f" The counter's name is in the body{NO_PROXY}"
IN_QUERY = f" The counter's name is in the query{NO_PROXY}"
NO_NAME = MissingValue("name", COUNTER_NAME_WANTED)


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
) -> Decorator:
    """Return the decorator that describes one call; `answer=None` is an empty answer.

    The call accepts only the query parameters that are described. The decorator stores their
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

    def decorate(handler: F, /) -> F:
        handler = describe(handler)
        handler.query_parameters = known  # type: ignore[attr-defined]
        return handler

    return decorate


def by_path_and_by_name(
    name: str,
    *,
    summary: str,
    description: str,
    parameters: Sequence[OpenApiParameter] = (),
    body: Any = None,
    body_examples: Mapping[str, Json] | None = None,
    answer: Any,
    sometimes: Collection[str] = (),
    answer_examples: Mapping[str, Json],
    errors: Sequence[Failure],
) -> tuple[Decorator, Decorator]:
    """Describe a call with the counter's name in the path, and its twin without.

    The twin has the name in the body, or in the query if there is no body. `sometimes` are
    fields that not every answer has.
    """
    twin = BY_NAME if body else IN_QUERY
    return operation(
        name,
        tag="counters",
        summary=summary,
        description=description,
        parameters=[NAMESPACE, NAME, *parameters],
        body=body and ref(body),
        body_examples=body_examples,
        answer=ref(answer, optional=sometimes),
        answer_examples=answer_examples,
        errors=errors,
    ), operation(
        f"{name}_by_name",
        tag="counters by name",
        summary=summary,
        description=description + twin,
        parameters=[NAMESPACE, *([] if body else [NAME_IN_QUERY]), *parameters],
        body=body and ref(body, named=True),
        body_examples=_named(body_examples or {}),
        answer=ref(answer, named=True, optional=sometimes),
        answer_examples=_named(answer_examples),
        errors=[NO_NAME, *errors],
    )


def _named(examples: Mapping[str, Json]) -> dict[str, Json]:
    return {title: {"name": "page/home", **body} for title, body in examples.items()}


def _failures(failures: Sequence[Failure]) -> dict[Any, OpenApiResponse]:
    """Return one answer a status, with an example for each thing that may go wrong."""
    by_status: dict[int, list[Json]] = {}
    for failure in failures:
        body = failure if isinstance(failure, dict) else problem_of(failure)
        assert body is not None, f"{failure!r} is answered by no problem"  # noqa: S101
        by_status.setdefault(body["status"], []).append(body)
    return {
        (status, MEDIA_TYPE): OpenApiResponse(
            ref(ProblemBody),
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
