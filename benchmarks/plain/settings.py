"""The plainest settings for the plain view: the same database, nothing else."""

from __future__ import annotations

from counters_project import settings as ours

SECRET_KEY = ours.SECRET_KEY
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.plain.urls"
DATABASES = ours.DATABASES
INSTALLED_APPS = ["rest_framework"]
# Without this middleware answers are chunked, which costs more.
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
USE_TZ = True
# The plain view authenticates nobody.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
