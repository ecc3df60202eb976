"""The wheel of the two apps, in a Django project of somebody else's: examples/blog.

It runs where nothing of this repository can be imported, on a database of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import conninfo, sql

from tests import programs
from tests.servers import Servers

ROOT = Path(__file__).resolve().parent.parent.parent
BLOG = ROOT / "examples" / "blog"
TIMEOUT_SECONDS = 100
Manage = Callable[..., str]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: a build leaves its traces beside the sources."""
    source = tmp_path_factory.mktemp("source")
    without = shutil.ignore_patterns("__pycache__")
    for package in ("counters", "rollups", "counters_project", "tests"):
        shutil.copytree(ROOT / package, source / package, ignore=without)
    (source / "docs").mkdir()
    for file in ("pyproject.toml", "LICENSE", "docs/django.md"):
        shutil.copy(ROOT / file, source / file)
    built = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(built), str(source))
    [found] = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed. What it depends on is the test environment's."""
    target = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    return target


@pytest.fixture(scope="module")
def environment(
    servers: Servers, site: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What the example's processes are told; its database is dropped afterwards."""
    home = tmp_path_factory.mktemp("project")
    shutil.copytree(BLOG, home, dirs_exist_ok=True)
    name = f"blog_{uuid4().hex[:12]}"
    server = conninfo.conninfo_to_dict(servers.database_url)
    admin = conninfo.make_conninfo(servers.database_url, dbname="postgres")
    create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    foreign = {
        key: value
        for key, value in os.environ.items()
        # No setting of this run of the suite: a new project has none of them.
        if not key.startswith(("CELERY_", "DATABASE_", "DJANGO_", "PROMETHEUS_", "PG"))
    }
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(create)
        yield foreign | {
            "PYTHONPATH": str(site),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "error,ignore::ResourceWarning",
            "PWD": str(home),
            "PGDATABASE": name,
            "PGHOST": str(server["host"]),
            "PGPORT": str(server.get("port", 5432)),
            "PGUSER": str(server["user"]),
            "CACHE_URL": servers.cache_url,
            "CELERY_BROKER_URL": servers.broker_url,
        }
        connection.execute(drop)


@pytest.fixture(scope="module")
def manage(environment: dict[str, str]) -> Manage:
    """Runs a command of the example's, and returns what it printed."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=environment["PWD"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def migrated(manage: Manage) -> Manage:
    manage("migrate", "-v", "1")
    return manage


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", *arguments]
    subprocess.run(command, check=True, timeout=TIMEOUT_SECONDS)


def test_wheel__holds_the_two_apps_and_all_their_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    wanted = {
        str(file.relative_to(ROOT))
        for app in ("counters", "rollups")
        for file in (ROOT / app).rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }

    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {
        "counters",
        "rollups",
    }
    assert wanted - set(names) == set()


def test_wheel__is_described_by_the_guide(wheel: Path) -> None:
    """A project that installs the apps has no `make run`."""
    archive = zipfile.ZipFile(wheel)
    [metadata] = [name for name in archive.namelist() if name.endswith("/METADATA")]

    description = archive.read(metadata).decode()

    assert "License-Expression: MIT" in description
    assert [name for name in archive.namelist() if name.endswith("/LICENSE")]
    assert "# In your own Django project" in description
    assert "make run" not in description.split("## 1. Install")[1].split("\n##")[0]


def test_blog__is_set_up_by_migrate_alone(manage: Manage) -> None:
    checked = manage("check", "--fail-level", "WARNING")
    # A project may migrate any app of its own first, and take the counters out again.
    manage("migrate", "auth")
    first = manage("migrate")
    manage("migrate", "rollups", "zero")
    manage("migrate", "counters", "zero")
    again = manage("migrate")
    manage("check", "--database", "default", "--fail-level", "WARNING")

    assert "no issues" in checked
    created = "Created the namespace articles for the counters of your models."
    assert created in first
    assert created in again
    assert "No changes" in manage("makemigrations", "--check", "--dry-run")


VISIT = """
import counters
from articles.models import Article
from django.contrib.auth.models import User
from django.test import Client
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

def queries(client, path):
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        page = client.get(path)
    assert page.status_code == 200, page.content
    return len(captured), page.content.decode()

"""


def test_blog__shows_what_was_counted(migrated: Manage, site: Path) -> None:
    made = migrated(
        "shell",
        "--no-imports",
        "-c",
        VISIT
        + """
print(counters.__file__)
for number in range(5):
    Article.objects.create(title=f"Article {number}")
client = Client()
for article in Article.objects.all():
    for _ in range(3):
        page = client.get(f"/articles/{article.pk}/").content.decode()
    assert "3 views, this one among them" in page, page
assert "0 views" in client.get("/").content.decode()
Article.objects.earliest("pk").views.add(1234)
""",
    )

    folded = migrated("counters", "rollup")

    assert str(site) in made
    assert "16 events of 5 counters" in folded
    migrated(
        "shell",
        "--no-imports",
        "-c",
        VISIT
        + """
client = Client()
few, page = queries(client, "/")
assert "Article 0</a>, 1,237 views" in page, page
assert "Article 1</a>, 3 views" in page, page
with translation.override("de"):
    from django.template import Context, Template
    template = Template("{% load rollup_counts %}{% count_of article.views %}")
    shown = template.render(Context({"article": Article.objects.earliest("pk")}))
    assert shown == "1.237", shown

client.force_login(User.objects.create_superuser("boss"))
few_in_admin, page = queries(client, "/admin/articles/article/")
assert '<td class="field-views">1,237</td>' in page, page
assert "?o=" in page and 'class="column-views"' in page, page
first = Article.objects.earliest("pk")
change = client.get(f"/admin/articles/article/{first.pk}/change/").content.decode()
assert "1,237" in change and 'name="views"' not in change, change
assert client.get("/admin/articles/article/add/").status_code == 200

Article.objects.bulk_create(Article(title=f"More {n}") for n in range(45))
for article in Article.objects.all():
    article.views.add()
many, _ = queries(client, "/")
many_in_admin, _ = queries(client, "/admin/articles/article/")
assert (few, few_in_admin) == (many, many_in_admin), (few, few_in_admin, many, many_in_admin)
""",
    )


def test_blog__serves_the_api(migrated: Manage) -> None:
    """Whatever REST_FRAMEWORK says; a slash in a name is no slash in the path."""
    migrated(
        "shell",
        "--no-imports",
        "-c",
        VISIT
        + """
from counters.models import Namespace
user = User.objects.create_superuser("api")
from knox.models import AuthToken
_, token = AuthToken.objects.create(user)
path = "/api/v1/namespaces/articles/counters/a%2Fadd"
ask = {"headers": {"Authorization": f"Token {token}"}, "REQUEST_URI": path}
anonymous = Client().get(path, REQUEST_URI=path)
assert anonymous.status_code == 401, anonymous.content
assert anonymous["Content-Type"] == "application/problem+json"
adding = ask | {"REQUEST_URI": path + "/add"}
added = Client().post(path + "/add", {"delta": 4}, "application/json", **adding)
assert added.status_code == 200, added.content
read = Client().get(path + "?accuracy=accurate", **ask).json()
assert (read["name"], read["count"]) == ("a/add", 4), read
missing = Client().get("/api/v1/namespaces/none/counters/x", headers=ask["headers"])
assert (missing.status_code, missing.json()["code"]) == (404, "namespace-not-found")
""",
    )


def test_blog__runs_its_own_tests(migrated: Manage) -> None:
    assert "OK" in migrated("test", "--noinput")


def test_blog__folds_in_its_own_worker(
    migrated: Manage, environment: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    """Without a word about queues in its settings: the apps bring theirs along."""
    programs.purge(broker_url)
    log = tmp_path / "worker.log"
    asked = environment | {"CELERY_BROKER_URL": broker_url}
    command = ["-m", "celery", "-A", "blog", "worker", "-c", "1", "-l", "INFO"]
    migrated("shell", "--no-imports", "-c", VISIT + "Article(title='Hot').save()")
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, *command, "--without-gossip", "--without-mingle"],
            cwd=environment["PWD"],
            env=asked | {"PYTHONWARNINGS": "default"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        programs.wait_until(lambda: " ready." in log.read_text(), f"not ready: {log}")
        adding = subprocess.run(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", FOLDED],
            cwd=environment["PWD"],
            env=asked,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    finally:
        programs.kill_group(worker)

    assert adding.returncode == 0, adding.stderr + log.read_text()


FOLDED = """
import time
from articles.models import Article
article = Article.objects.earliest("pk")
before = article.views.read(accuracy="accurate").count
article.views.add(7)
deadline = time.monotonic() + 20
while article.views.read().count != before + 7:
    assert time.monotonic() < deadline, "the worker has not folded it"
    time.sleep(0.05)
"""


def test_blog__works_without_the_packages_of_the_api(
    migrated: Manage, environment: dict[str, str]
) -> None:
    """Only the API's calls and tokens are missing where the extra is not installed."""
    home = Path(environment["PWD"], "without_api")
    home.mkdir()
    (home / "__init__.py").write_text(NOT_INSTALLED)
    (home / "settings.py").write_text(WITHOUT_API)
    (home / "urls.py").write_text(URLS_WITHOUT_API)
    asked = ("--settings", "without_api.settings")

    migrated("migrate", "rollups", "zero", *asked)
    migrated("migrate", *asked)
    checked = migrated("check", "--fail-level", "WARNING", *asked)
    migrated("shell", "--no-imports", *asked, "-c", VISIT + USE_WITHOUT_API)

    assert "no issues" in checked
    assert ":views\t3" in migrated("counters", "list", "articles", *asked)
    with pytest.raises(AssertionError, match=r"Install django-fold-counters\[rest\]"):
        migrated("counters", "list-tokens", *asked)
    served = ("--settings", "without_api.with_urls")
    (home / "with_urls.py").write_text(WITH_URLS)
    with pytest.raises(AssertionError, match=r"Install django-fold-counters\[rest\]"):
        migrated("check", *served)


# Read before Django is set up, because the settings lie in this package.
NOT_INSTALLED = """
import sys
from importlib.abc import MetaPathFinder

class NotInstalled(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"rest_framework", "knox", "drf_spectacular"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

assert "rest_framework" not in sys.modules
sys.meta_path.insert(0, NotInstalled())
"""
WITHOUT_API = """
from blog.settings import *

INSTALLED_APPS = [
    app for app in INSTALLED_APPS if app not in ("rest_framework", "knox")
]
MIDDLEWARE = [one for one in MIDDLEWARE if not one.startswith("counters.rest.")]
ROOT_URLCONF = "without_api.urls"
"""
WITH_URLS = """
from without_api.settings import *

ROOT_URLCONF = "blog.urls"
"""
URLS_WITHOUT_API = """
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
"""
USE_WITHOUT_API = """
article = Article.objects.create(title="Without")
article.views.add(3, token="one")
article.views.add(3, token="one")
from rollups.folding.fold import fold
from counters.models import Counter
fold(list(Counter.objects.values_list("pk", flat=True)))
read = article.views.read(accuracy="eventual")
assert (read.count, read.pending) == (3, False), read
client = Client()
client.force_login(User.objects.create_superuser("without"))
_, page = queries(client, "/admin/")
assert "/admin/counters/namespace/" in page and "knox" not in page, page
queries(client, "/admin/counters/counter/")
queries(client, "/admin/counters/namespace/add/")
"""
