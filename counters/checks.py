"""System checks for projects that install these apps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import router as db_router
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.urls import URLPattern, URLResolver, get_resolver

from counters import conf, routers
from counters.conf import Setting
from counters.rest.paths import CounterNameInPath
from counters.routers import CountersRouter

LEAST_POSTGRESQL = 15
_ONE_SNAPSHOT_A_TRANSACTION = ("repeatable read", "serializable")
_OWN_TO_EACH_PROCESS = (
    "django.core.cache.backends.locmem.",
    "django.core.cache.backends.dummy.",
)

_ASYNCHRONOUS = Caution(
    "synchronous_commit is off: a crash of the database server loses adds that were"
    " acknowledged just before.",
    hint="Set it to on for the service's role and database: ALTER ROLE ... SET"
    " synchronous_commit = on. pg_db_role_setting shows where it was set to off.",
    id="counters.W011",
)


@register(Tags.compatibility)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Check Django's settings and the names of ours."""
    return [
        *warn_of_unknown("COUNTERS_", conf.SETTINGS, check_id="counters.W012"),
        *_check_engine(),
        *_check_isolation(),
        *_check_time_zones(),
        *_check_cache(),
        *_check_other_databases(),
        *_check_tenants(),
    ]


@register(Tags.database)
def check_server(
    databases: Collection[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Run by `migrate` and `check --database default`."""
    connection = connections[DEFAULT_DB_ALIAS]
    if DEFAULT_DB_ALIAS not in (databases or ()) or connection.vendor != "postgresql":
        return []
    server: Any = connection
    version = int(server.pg_version)
    if version < LEAST_POSTGRESQL * 10_000:
        return [
            Error(
                f"The database is PostgreSQL {version // 10_000}; the counters need"
                f" {LEAST_POSTGRESQL} or newer.",
                hint="Upgrade the server, or name another one in DATABASES['default'].",
                id="counters.E002",
            )
        ]
    found: list[CheckMessage] = []
    with connection.cursor() as cursor:
        cursor.execute("SHOW default_transaction_isolation")
        level = cursor.fetchone()[0]
        if level in _ONE_SNAPSHOT_A_TRANSACTION:
            found.append(
                _too_isolated("The database's default_transaction_isolation", level)
            )
        # The value of this connection: set by the server, the database, the role or OPTIONS.
        cursor.execute("SHOW synchronous_commit")
        if cursor.fetchone()[0] == "off":
            found.append(_ASYNCHRONOUS)
    return found


@register(Tags.urls)
def check_api(**_: Any) -> list[CheckMessage]:
    """Check what the API needs in a project that serves it."""
    if not getattr(settings, "ROOT_URLCONF", None) or not _serves_api():
        return []
    path = f"{CounterNameInPath.__module__}.{CounterNameInPath.__qualname__}"
    found: list[CheckMessage] = []
    if not apps.is_installed("rest_framework"):
        found.append(
            Error(
                "The counters' API is in your URLs, and 'rest_framework' is not in"
                " INSTALLED_APPS.",
                hint="Add 'rest_framework' and 'knox' to INSTALLED_APPS.",
                id="counters.E004",
            )
        )
    if path not in settings.MIDDLEWARE:
        found.append(
            Caution(
                f"The counters' API is in your URLs, and {path!r} is not in MIDDLEWARE:"
                " a counter's name with a slash in it cannot be told from a path.",
                hint="Add it to MIDDLEWARE, before CommonMiddleware.",
                id="counters.W005",
            )
        )
    return found


def warn_of_unknown(
    prefix: str, rows: Iterable[Setting[Any]], *, check_id: str
) -> Iterator[CheckMessage]:
    """Warn of each setting that no row describes but that has the prefix, or nearly a name."""
    known = sorted(row.name for row in rows)
    for name in dir(settings):
        if name in known:
            continue
        # A name without the prefix is another app's, unless it differs by a letter or two.
        cutoff = 0.6 if name.startswith(prefix) else 0.9
        nearest = get_close_matches(name, known, n=1, cutoff=cutoff)
        if nearest or name.startswith(prefix):
            meant = f" Is {nearest[0]} meant?" if nearest else ""
            yield Caution(
                f"The setting {name} is unknown and has no effect.{meant}",
                hint=f"Correct or remove it. Known are: {', '.join(known)}.",
                id=check_id,
            )


def _check_engine() -> Iterator[CheckMessage]:
    engine = settings.DATABASES.get(DEFAULT_DB_ALIAS, {}).get("ENGINE", "")
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        yield Error(
            f"DATABASES['default'] has the engine {engine!r}; the counters are kept in"
            " PostgreSQL.",
            hint="Use 'django.db.backends.postgresql' and PostgreSQL"
            f" {LEAST_POSTGRESQL} or newer.",
            id="counters.E001",
        )


def _check_isolation() -> Iterator[CheckMessage]:
    options = settings.DATABASES.get(DEFAULT_DB_ALIAS, {}).get("OPTIONS", {})
    asked = options.get("isolation_level")
    if asked is None:
        return
    # psycopg sends it with each BEGIN, and with nothing else.
    level = IsolationLevel(asked).name.lower().replace("_", " ")
    if level in _ONE_SNAPSHOT_A_TRANSACTION:
        yield _too_isolated("DATABASES['default'], OPTIONS['isolation_level'],", level)


def _too_isolated(what: str, level: str) -> CheckMessage:
    return Caution(
        f"{what} is {level}: nothing is counted wrong, but adds, clears and reads within"
        " atomic() may fail with serialization errors, and must then be repeated.",
        hint="Use read committed, PostgreSQL's default, and set another level in those of your"
        " transactions that need it: SET TRANSACTION ISOLATION LEVEL.",
        id="counters.W007",
    )


def _check_time_zones() -> Iterator[CheckMessage]:
    if not settings.USE_TZ:
        yield Error(
            "USE_TZ is off: the times of events would be taken for those of the server.",
            hint="Set USE_TZ = True, Django's default.",
            id="counters.E003",
        )


def _check_cache() -> Iterator[CheckMessage]:
    backend = settings.CACHES.get(DEFAULT_CACHE_ALIAS, {}).get("BACKEND", "")
    if backend.startswith(_OWN_TO_EACH_PROCESS):
        yield Caution(
            f"CACHES['default'] is {backend!r}, which processes do not share: best-effort"
            " namespaces are refused, rate limits are each process's own, and hot counters"
            " are folded more often than they need be.",
            hint="Use 'django.core.cache.backends.redis.RedisCache', or another cache that"
            " all processes reach.",
            id="counters.W006",
        )


def _check_other_databases() -> Iterator[CheckMessage]:
    router = f"{CountersRouter.__module__}.{CountersRouter.__qualname__}"
    for alias in connections:
        is_mirror = connections[alias].settings_dict["TEST"].get("MIRROR")
        if alias == DEFAULT_DB_ALIAS or is_mirror:
            continue
        if any(db_router.allow_migrate(alias, label) for label in routers.APPS):
            yield Error(
                "The counters are kept in DATABASES['default'], but `migrate"
                f" --database={alias}` and tests would also make their tables in"
                f" DATABASES[{alias!r}].",
                hint=f"Put {router!r} first in DATABASE_ROUTERS.",
                id="counters.E009",
            )


def _check_tenants() -> Iterator[CheckMessage]:
    """Refuse django-tenants' TENANT_APPS: a schema for each tenant, by `search_path`."""
    tenant_apps = {*getattr(settings, "TENANT_APPS", ())}
    for name, kind in getattr(settings, "TENANT_TYPES", {}).items():
        # The public schema is one of the types.
        if name != getattr(settings, "PUBLIC_SCHEMA_NAME", "public"):
            tenant_apps |= {*kind.get("APPS", ())}
    for label in routers.APPS:
        if tenant_apps & {label, _config_path(label)}:
            yield Error(
                f"{label!r} is one of the tenants' apps, but the counters must be kept in one"
                " schema: workers, sweeps and cached namespaces do not know the tenant, so"
                " counts of one tenant would go to another.",
                hint=f"Move {label!r} to SHARED_APPS, with a namespace or a prefix of the"
                " counters' names for each tenant.",
                id="counters.E010",
            )


def _config_path(label: str) -> str:
    config = type(apps.get_app_config(label))
    return f"{config.__module__}.{config.__qualname__}"


def _serves_api() -> bool:
    return any(_views(get_resolver().url_patterns))


def _views(patterns: Collection[URLPattern | URLResolver]) -> Iterator[bool]:
    """Yield, for each view, whether it is one of the counters' API."""
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from _views(each.url_patterns)
        else:
            view = getattr(each.callback, "view_class", None)
            yield getattr(view, "__module__", "").startswith(
                ("counters.rest.", "rollups.rest.")
            )
