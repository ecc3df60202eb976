"""Settings of the counter service.

Every value that an operator may set is an environment variable. `docs/operations.md` lists
them.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from counters import conf as counters_conf
from counters.db import timeouts
from counters_project import embedded, env, openapi_introduction, startup_checks
from rollups import conf as rollups_conf
from rollups.trigger.broker import rollup_queue
from rollups.worker.schedule import beat_schedule

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Where things are ---------------------------------------------------------------
# DATA_DIR (default .local): what the embedded servers keep, and run.json.
DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / ".local"))).resolve()
RUNNING = env.running_service(DATA_DIR)

# COUNTERS_ROLE: what this process is; it decides pools and time-outs.
ROLE = env.text("COUNTERS_ROLE", "command")
if ROLE not in {"web", "worker", "beat", "command"}:
    raise ImproperlyConfigured(
        f"COUNTERS_ROLE={ROLE!r} is unknown; use web, worker, beat or command."
    )

# --- Django -------------------------------------------------------------------------
# DEBUG: Django's debug pages; never on a machine that others reach.
DEBUG = env.flag("DEBUG", False)
# SECRET_KEY: signs sessions. Unset, the embedded service makes one of its own and keeps
# it in DATA_DIR, readable by its owner only; a web server of real servers needs it set.
SECRET_KEY = env.text("SECRET_KEY", "")
# SECRET_KEY_FALLBACKS: earlier keys, separated by commas; signatures made with them stay valid.
SECRET_KEY_FALLBACKS = env.names("SECRET_KEY_FALLBACKS", "")
# ALLOWED_HOSTS: names that the web server answers to, separated by commas, without scheme and
# port. Probes (/healthz, /readyz, /metrics) are answered for any host name.
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
_serves = ROLE == "web" and not DEBUG
if not SECRET_KEY and not (_serves and env.text("DATABASE_URL", "")):
    SECRET_KEY = embedded.secret_key(DATA_DIR)
if _serves:
    startup_checks.refuse_guessable(
        secret_key=SECRET_KEY, fallbacks=SECRET_KEY_FALLBACKS, hosts=ALLOWED_HOSTS
    )

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "counters",
    "rollups",
    # For its management command `create_demo`.
    "counters_project",
]
MIDDLEWARE = [
    "counters_project.middleware.ContentPolicy",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Before the middleware that looks at the Host header, after what adds headers to each answer.
    "counters_project.middleware.Probes",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "counters.rest.paths.CounterNameInPath",
    "counters_project.middleware.PageSessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "counters_project.middleware.PageUsers",
    "counters_project.middleware.PageMessages",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "counters_project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "counters_project.urls"
WSGI_APPLICATION = "counters_project.wsgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
# Static files are served straight from the packages they come with; nothing to collect.
WHITENOISE_USE_FINDERS = True

# --- What browsers are told -----------------------------------------------------------
# HTTPS: true where clients come by https only, through a proxy that ends TLS. Then plain
# http is redirected (but for health checks and metrics), cookies stay on https, and
# browsers remember that. FORWARDED_ALLOW_IPS, which gunicorn reads, says which proxies may
# tell (by X-Forwarded-Proto) that a request came by https.
HTTPS = env.flag("HTTPS", False)
# HSTS_SECONDS: how long browsers remember that only https will do.
HSTS_SECONDS = env.integer("HSTS_SECONDS", 31_536_000)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]
SECURE_HSTS_SECONDS = HSTS_SECONDS if HTTPS else 0
# HSTS_SUBDOMAINS / HSTS_PRELOAD: browsers apply HSTS to all subdomains too, and may have it in
# their built-in list. Both bind names of other services and are hard to take back.
HSTS_SUBDOMAINS = env.flag("HSTS_SUBDOMAINS", False)
HSTS_PRELOAD = env.flag("HSTS_PRELOAD", False)
if HSTS_PRELOAD and not HSTS_SUBDOMAINS:
    raise ImproperlyConfigured(
        "HSTS_PRELOAD=true needs HSTS_SUBDOMAINS=true: browsers' lists take a domain only"
        " together with its subdomains."
    )
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS and HSTS_SUBDOMAINS
SECURE_HSTS_PRELOAD = HTTPS and HSTS_PRELOAD
# `check --deploy` asks for these two; the operator decides.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# A day's work; tokens, not sessions, are for programs.
SESSION_COOKIE_AGE = 12 * 60 * 60
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
DEFAULT_EXCEPTION_REPORTER_FILTER = "counters_project.error_reports.ReportFilter"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# PROXIES: how many proxies stand before the web servers; so many entries from the right of
# X-Forwarded-For are believed. With 0 the header is not looked at.
PROXIES = env.integer("PROXIES", 0)
AUTHENTICATION_BACKENDS = ["counters_project.login_limits.LimitedLogins"]

# --- What requests may hold -----------------------------------------------------------
# 10,000 events of a batch with long names fit; a larger body is refused unread.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

# --- PostgreSQL ---------------------------------------------------------------------
# DATABASE_URL: postgresql://user:password@host:port/name. Unset: the embedded server.
DATABASE_URL = env.url(
    "DATABASE_URL", RUNNING.get("database_url") or embedded.database_url(DATA_DIR)
)
# WEB_THREADS: requests that one web process answers at once; each may hold a connection.
WEB_THREADS = env.integer("WEB_THREADS", 16, at_least=1)
# STATEMENT_TIMEOUT_SECONDS / LOCK_TIMEOUT_SECONDS: no request waits longer for PostgreSQL.
STATEMENT_TIMEOUT_SECONDS = env.number("STATEMENT_TIMEOUT_SECONDS", 30)
LOCK_TIMEOUT_SECONDS = env.number("LOCK_TIMEOUT_SECONDS", 5)
# A server that has not even said by then that it gave up is stopped, or cut off.
SILENT_AFTER_SECONDS = STATEMENT_TIMEOUT_SECONDS + 5

try:
    _database: dict[str, Any] = dict(dj_database_url.parse(DATABASE_URL))
except ValueError:
    raise ImproperlyConfigured(
        "DATABASE_URL cannot be read; it looks like"
        " postgresql://user:password@host:port/name."
    ) from None
if _database["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        f"DATABASE_URL names {_database['ENGINE']}; the service needs PostgreSQL 15 or"
        " newer: postgresql://user:password@host:port/name."
    )
if ROLE == "command" and not env.text("DATABASE_URL", ""):
    # For the error if no server is there: see counters.db.errors.
    _database["HINT"] = (
        "DATABASE_URL is not set, so the database of `make run` is used, with its files in"
        f" DATA_DIR={DATA_DIR}. Start `make run`, or set DATA_DIR or DATABASE_URL."
    )
_options: dict[str, Any] = _database.setdefault("OPTIONS", {})
# Prepared statements need server-side binding; both together took a third off the time
# of a one-row write. The threshold is psycopg's: prepared from the sixth use on.
_options |= {"server_side_binding": True, "prepare_threshold": 5}
_options.setdefault("connect_timeout", 5)
_options.setdefault("application_name", f"counters-{ROLE}")
# A machine that is gone is found out in half a minute, not in TCP's two hours.
for _name, _value in {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}.items():
    _options.setdefault(_name, _value)
# PostgreSQL's JIT compiles a batch's insert again each time, which takes half of its time without any gain.
_ours = "-c jit=off"
if ROLE != "command":
    # Commands may run for hours (an import, a recount); services may not.
    _ours += (
        f" -c statement_timeout={round(STATEMENT_TIMEOUT_SECONDS * 1000)}"
        f" -c lock_timeout={round(LOCK_TIMEOUT_SECONDS * 1000)}"
    )
# The URL's own `options` and `currentSchema` come last, so that they override ours.
_asked = [
    _options.get("options"),
    *parse_qs(urlsplit(DATABASE_URL).query).get("options", []),
]
_options["options"] = " ".join(dict.fromkeys(filter(None, [_ours, *_asked])))
if ROLE == "web":
    # A request waits at most `timeout` seconds for a connection, then fails. One for each
    # thread, and one for the process's heartbeat.
    _options["pool"] = {
        "min_size": 1,
        "max_size": WEB_THREADS + 1,
        "timeout": 5,
        # Psycopg's own try for five minutes, at growing distances, would leave a database
        # that is back unused for two of them; the next request tries again.
        "reconnect_timeout": 2,
        "connection_class": timeouts.connection_class(
            answer_within_seconds=SILENT_AFTER_SECONDS
        ),
    }
else:
    _database["CONN_MAX_AGE"] = None
    _database["CONN_HEALTH_CHECKS"] = True
DATABASES = {"default": _database}
# Celery's Django fix-up closes the connection around every task unless this is set.
CELERY_DB_REUSE_MAX = 1000

# --- Cache --------------------------------------------------------------------------
# CACHE_URL: redis://host:port/db. Unset: the embedded Valkey, or this process's memory.
CACHE_URL = env.cache_url("CACHE_URL", RUNNING.get("cache_url", ""))
# CACHE_TIMEOUT_SECONDS: the longest that one look into the cache may take.
CACHE_TIMEOUT_SECONDS = env.number("CACHE_TIMEOUT_SECONDS", 0.25)
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": CACHE_URL,
        # A cache that went silent must not hold requests: see docs/operations.md.
        "OPTIONS": {
            "socket_connect_timeout": CACHE_TIMEOUT_SECONDS,
            "socket_timeout": CACHE_TIMEOUT_SECONDS,
        },
    }
    if CACHE_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# --- The settings of the apps -------------------------------------------------------
# Their names, defaults, ranges and meanings are in counters/conf.py and rollups/conf.py.
_of_apps = {
    row.name: env.setting(row)
    for row in (*counters_conf.SETTINGS, *rollups_conf.SETTINGS)
}
globals().update(_of_apps)
ROLLUPS_QUEUE = _of_apps["ROLLUPS_QUEUE"]
ROLLUPS_METRICS_DIR = Path(_of_apps["ROLLUPS_METRICS_DIR"] or DATA_DIR / "metrics")
embedded.make_private_dir(ROLLUPS_METRICS_DIR)

# --- Celery -------------------------------------------------------------------------
# CELERY_BROKER_URL: redis://host:port/db or amqp://user:password@host:port/vhost.
CELERY_BROKER_URL = env.url(
    "CELERY_BROKER_URL", RUNNING.get("broker_url") or "redis://127.0.0.1:6379/0"
)
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_CONSUMER = "rollups.worker.consumer:GuardedConsumer"
CELERY_TIMEZONE = "UTC"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = ROLLUPS_QUEUE
CELERY_TASK_QUEUES = [rollup_queue(ROLLUPS_QUEUE)]
CELERY_TASK_DEFAULT_DELIVERY_MODE = "transient"
CELERY_TASK_SEND_SENT_EVENT = False
# Early acknowledgement: a killed worker loses its messages, the sweep finds the counters.
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_TIME_LIMIT = 300
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 10_000
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever, however long the broker is away. The default is a hundred times.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A Redis that becomes a replica, or is full, answers with errors that would end a worker.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
# These are for worker and beat, who may wait for the broker, but not without end on one that
# went silent. Triggers have a connection of their own: see rollups/trigger/broker.py.
CELERY_BROKER_CONNECTION_TIMEOUT = 4
CELERY_BROKER_HEARTBEAT = 10
if CELERY_BROKER_URL.startswith(("amqp", "pyamqp")):
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
        # Beat has no heartbeat; a worker's read must wait for its next message.
        {"read_timeout": 4, "write_timeout": 4} if ROLE == "beat" else {}
    )
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "socket_keepalive": True,
        "socket_timeout": 10,
        "socket_connect_timeout": 4,
        "health_check_interval": 5,
        # Kombu would note each message that a worker takes in Redis, and return a killed
        # worker's after an hour. By then the sweep has found its counters.
        "ack_emulation": False,
    }
CELERY_BEAT_SCHEDULE = beat_schedule(
    queue=ROLLUPS_QUEUE,
    sweep_period_seconds=_of_apps["ROLLUPS_SWEEP_PERIOD_SECONDS"],
)
CELERY_BEAT_SCHEDULER = "rollups.worker.beat:SteadyScheduler"
# Beat keeps its clock here; it only says when each entry ran last.
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")

# --- REST API -----------------------------------------------------------------------
# The counters' own views say themselves what they need; these are for all others.
REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "EXCEPTION_HANDLER": "counters.rest.problems.answer_problem",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Fold counters",
    "VERSION": "1",
    "DESCRIPTION": openapi_introduction.INTRODUCTION,
    "POSTPROCESSING_HOOKS": ["counters_project.openapi_views.finish"],
    # The page's scripts come from here, not from another company's servers.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "TAGS": openapi_introduction.TAGS,
    "SORT_OPERATION_PARAMETERS": False,
    # Sessions need nothing that a person could fill in; the introduction tells of them.
    "AUTHENTICATION_WHITELIST": ["counters.rest.base_view.ApiTokenAuthentication"],
}
REST_KNOX = {"AUTO_REFRESH": False, "TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Token"}

# --- Logging ------------------------------------------------------------------------
# LOG_LEVEL: DEBUG, INFO, WARNING or ERROR, of what goes to standard error.
LOG_LEVEL = env.text("LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured(
        f"LOG_LEVEL={LOG_LEVEL!r} is unknown; use DEBUG, INFO, WARNING or ERROR."
    )
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}
    },
    "filters": {"brief": {"()": "counters_project.error_reports.WithoutTraceback"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Anybody may send any Host header; that is not a fault of this service.
        "django.security.DisallowedHost": {"filters": ["brief"]},
        # A 4xx is the client's fault, and the answer says so; a 5xx is logged as an error.
        "django.request": {"level": "ERROR"},
        # The client that the demo uses logs each request at INFO.
        "httpx": {"level": "WARNING"},
    },
}

# Now all variables are read. LOGGING is not in force yet, so the line goes to standard error.
for _warning in env.warnings_of_names(
    (*counters_conf.SETTINGS, *rollups_conf.SETTINGS)
):
    logging.getLogger("counters_project").warning(_warning)
