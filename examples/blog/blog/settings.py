"""Settings as `startproject` makes them; what the counters add is marked `# counters`."""

from __future__ import annotations

import os

from rollups.worker.schedule import beat_schedule  # counters

SECRET_KEY = "only-for-the-example"  # noqa: S105
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "articles",
    "rest_framework",  # counters: for the API
    "knox",  # counters: for the API
    "counters",  # counters
    "rollups",  # counters
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "counters.rest.paths.CounterNameInPath",  # counters: for the API
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "blog.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
# Host, port, user and password come from PGHOST and its like, as for psql.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE", "blog"),
    }
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ.get("CACHE_URL", "redis://127.0.0.1:6379/1"),
    }
}
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")
CELERY_BEAT_SCHEDULE = {**beat_schedule()}  # counters
CELERY_WORKER_CONSUMER = "rollups.worker.consumer:GuardedConsumer"  # counters
CELERY_BEAT_SCHEDULER = "rollups.worker.beat:SteadyScheduler"  # counters
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # counters
CELERY_DB_REUSE_MAX = 1000  # counters
LANGUAGE_CODE = "en-us"
# Not UTC: the counters keep their times apart from it.
TIME_ZONE = "Europe/Berlin"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
