"""Each command of the guide works in projects that differ from the guide's.

One project combines several independent differences, because each project costs some
seconds.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests import programs
from tests.faults.brokers import free_port
from tests.host_projects.conftest import PYTHON, Host

# On a busy machine each of a dozen programs takes some seconds to start.
pytestmark = pytest.mark.timeout(600)
MakeHost = Callable[[str], Host]

SEVERAL_DATABASES = """
INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "knox"] + ["knox"]
DATABASES["default"] |= {
    "ATOMIC_REQUESTS": True,
    "OPTIONS": {"pool": {"min_size": 1, "max_size": 2, "timeout": 5}},
}
DATABASES["small"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "small.sqlite3"}
DATABASES["second"] = DATABASES["default"] | {
    "NAME": DATABASES["default"]["NAME"] + "_second",
    "ATOMIC_REQUESTS": False,
    "OPTIONS": {},
}
"""
ROUTER = """
DATABASE_ROUTERS = ["counters.routers.CountersRouter"]
"""
TABLES = """
from articles.models import Article
from django.db import connections
for alias in ("small", "second"):
    print(alias, connections[alias].introspection.table_names())
Article(title="Hot").save()
"""

OWN_USERS = """
INSTALLED_APPS = ["knox", *(app for app in INSTALLED_APPS if app != "knox"), "people"]
AUTH_USER_MODEL = "people.Person"
DATA_UPLOAD_MAX_MEMORY_SIZE = None
"""
# No `username`, no search in the admin, keys that are not numbers, and no groups.
PEOPLE = {
    "people/__init__.py": "",
    "people/models.py": """
import uuid
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models

class People(BaseUserManager):
    pass

class Person(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = True
    objects = People()
    USERNAME_FIELD = EMAIL_FIELD = "email"

    def __str__(self):
        return self.email
""",
    "people/admin.py": """
from django.contrib import admin
from django.contrib.auth.models import Group
from people.models import Person
admin.site.unregister(Group)
admin.site.register(Person)
""",
}
VISIT_AS_OWN_USER = """
from articles.models import Article
from django.core.management import call_command
from django.test import Client
from io import StringIO
from people.models import Person

def ask(*command):
    out = StringIO()
    call_command("counters", *command, stdout=out, stderr=StringIO())
    return out.getvalue().strip()

Article(title="Hot").save()
alice = "alice@example.com"
Person.objects.create(email=alice)
ask("grant", "articles", alice, "read", "write")
token = ask("create-token", alice)
assert alice in ask("list-tokens")

headers = {"Authorization": f"Token {token}"}
path = "/api/v1/namespaces/articles/counters/hits"
added = Client().post(path + "/add", {"delta": 4}, "application/json", headers=headers)
assert added.status_code == 200, added.content
assert Client().get("/api/v1/namespaces", headers=headers).json()["results"]
batch = {"events": [{"namespace": "articles", "name": "hits", "delta": 1}]}
added = Client().post("/api/v1/events", batch, "application/json", headers=headers)
assert added.status_code == 200, added.content

boss = Person.objects.create(email="boss@example.com", is_staff=True, is_superuser=True)
client = Client()
client.force_login(boss)
for path, shows in {
    "counters/grant/?q=al": alice,
    "counters/grant/add/": 'id="id_user" class="vForeignKeyRawIdAdminField',
    "counters/namespace/1/change/": 'name="grants-0-group"',
    "knox/authtoken/?q=al": alice,
    "knox/authtoken/add/": "Create an API token",
    "counters/counter/": "Counters",
}.items():
    page = client.get(f"/admin/{path}")
    assert page.status_code == 200, path
    assert shows in page.content.decode(), path
"""

CLASHES = """
INSTALLED_APPS = [
    *("import_export", "badges", "knox", "mine"),
    *(app for app in INSTALLED_APPS if app != "knox"),
]
ROOT_URLCONF = "host.urls"
MIDDLEWARE = [one for one in MIDDLEWARE if not one.startswith("counters.rest.")]
LOGIN_URL = "/log-in"
DATABASES["default"]["TEST"] = {"MIGRATE": False}
"""
COMMAND = """
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    def handle(self, *args, **options):
        print("of another app")
"""
NEIGHBOURS = {
    # Like django-import-export.
    "import_export/__init__.py": "",
    "import_export/management/commands/export.py": COMMAND,
    "badges/__init__.py": "",
    "badges/management/commands/top.py": COMMAND,
    "badges/templatetags/counters.py": """
from django.template import Library
register = Library()

@register.simple_tag
def badge():
    return "a badge"
""",
    "mine/__init__.py": "",
    "mine/admin.py": """
from django.contrib import admin
from knox.models import AuthToken
admin.site.unregister(AuthToken)
@admin.register(AuthToken)
class MyAdmin(admin.ModelAdmin):
    pass
""",
    "pytest.ini": "[pytest]\npython_files = tests.py\n",
    "host/plain.py": "from blog.settings import *",
    "host/urls.py": """
from django.urls import include, path
from articles.views import ArticleListView, ArticleView
urlpatterns = [
    path("", ArticleListView.as_view(), name="articles"),
    path("articles/<int:pk>/", ArticleView.as_view(), name="article"),
    path("", include("rollups.pages.urls")),
]
""",
}
VISIT_OPS = """
from articles.models import Article
from django.contrib.auth.models import User
from django.core.management import call_command
from django.template import Context, Template
from django.test import Client
both = Template("{% load counters rollup_counts %}{% badge %} {% count 'articles' 'x' %}")
assert both.render(Context()) == "a badge 0"
call_command("export")
call_command("top")
call_command("counters", "top")
Article(title="Hot").save()
client = Client()
assert client.get("/ops")["Location"] == "/log-in?next=/ops"
client.force_login(User.objects.create_superuser("boss"))
for path in ("/ops", "/ops/now"):
    page = client.get(path)
    assert page.status_code == 200, path
    assert "pending counters" in page.content.decode(), path
"""

WHOSE_PAGE = """
from django.contrib import admin
from django.template.loader import select_template
from knox.models import AuthToken
print(type(admin.site.get_model_admin(AuthToken)).__module__)
names = ["admin/knox/authtoken/change_list.html", "admin/change_list.html"]
print(select_template(names).origin)
"""

NO_MIGRATIONS = ["--nomigrations", "--ds", "host.plain", "-q", "-p", "no:cacheprovider"]


def serve(host: Host, log: Path, *pages: str) -> list[str]:
    """Start `runserver`, as in the guide, and return its pages."""
    address = f"127.0.0.1:{free_port()}"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [PYTHON, "manage.py", "runserver", "--noreload", address],
            cwd=host.home,
            env=host.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=60) as client:

            def answers() -> bool:
                with suppress(httpx.TransportError):
                    return bool(client.get("/"))
                return False

            programs.wait_until(answers, f"runserver does not answer: {log}")
            answered = [client.get(page) for page in pages]
    finally:
        programs.kill_group(server)
    assert all(one.status_code == 200 for one in answered), log.read_text()
    return [one.text for one in answered]


def test_host__with_several_databases_a_pool_and_knox_behind_us(
    make_host: MakeHost, tmp_path: Path
) -> None:
    host = make_host(SEVERAL_DATABASES)

    said = host.refused("check")

    assert "counters.E009" in said
    assert "migrate --database=small" in said
    assert "migrate --database=second" in said
    settings = host.home / "host/settings.py"
    settings.write_text(settings.read_text() + ROUTER)
    assert "no issues" in host.manage("check", "--fail-level", "WARNING")
    assert "Created the namespace articles" in host.manage("migrate")
    host.manage("migrate", "--database=small")
    host.manage("migrate", "--database=second")
    for tables in host.python(TABLES).strip().splitlines():
        assert "articles_article" in tables
        assert "counters_" not in tables
        assert "rollups_" not in tables
    assert "OK" in host.manage("test", "--noinput")
    # Knox's own page shows digests, and puts a new token into a cookie.
    assert "counters.admin.tokens" in host.python(WHOSE_PAGE)
    [page] = serve(host, tmp_path / "server.log", "/articles/1/")
    assert "1 views, this one among them" in page
    # /ops shows that the server has reported itself, whatever its wsgi module is.
    reported = "from rollups.models import Process; print([p.role for p in Process.objects.all()])"
    assert "['web']" in host.python(reported)


def test_host__on_sqlite_is_told_what_the_counters_need(make_host: MakeHost) -> None:
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}
    host = make_host(f'DATABASES["default"] = {sqlite}')

    assert "counters.E001" in host.refused("migrate")


def test_host__with_a_user_model_of_its_own_and_without_groups(
    make_host: MakeHost, tmp_path: Path
) -> None:
    host = make_host(OWN_USERS)
    host.write(PEOPLE)

    host.manage("makemigrations", "people")
    host.manage("migrate")

    assert "no issues" in host.manage("check", "--fail-level", "WARNING")
    host.python(VISIT_AS_OWN_USER)
    assert "OK" in host.manage("test", "--noinput")
    serve(host, tmp_path / "server.log", "/articles/1/", "/admin/login/")


def test_host__with_the_names_of_others_and_without_admin_or_migrations(
    make_host: MakeHost, tmp_path: Path
) -> None:
    host = make_host(CLASHES)
    host.write(NEIGHBOURS)

    assert "no issues" in host.manage("check")
    host.manage("migrate")
    assert host.python(VISIT_OPS).count("of another app") == 2
    # An admin of the project's own for Knox's tokens stays.
    shown = host.python(WHOSE_PAGE)
    assert "mine.admin" in shown
    assert "counters" not in shown
    assert "OK" in host.manage("test", "--noinput")
    # Like `TEST = {"MIGRATE": False}` with Django's own runner.
    done = host.run("-m", "pytest", *NO_MIGRATIONS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    serve(host, tmp_path / "server.log", "/articles/1/")
