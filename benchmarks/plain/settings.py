"""Settings of the plain views: the same database, nothing else."""

from __future__ import annotations

import os
from typing import Any

import dj_database_url

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.plain.urls"
# At its best: each thread keeps its connection and its prepared statements.
_database: dict[str, Any] = dict(
    dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=None)
)
_database.setdefault("OPTIONS", {}).update(
    server_side_binding=True, prepare_threshold=5
)
DATABASES = {"default": _database}
INSTALLED_APPS = ["rest_framework"]
# Without this middleware answers are chunked, which costs more.
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
USE_TZ = True
# The plain views authenticate nobody.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
