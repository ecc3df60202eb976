"""Values reach SQL as parameters only: nothing in the tree builds a statement from text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = sorted(
    file.relative_to(ROOT)
    for app in ("counters", "counters_project", "rollups")
    for file in (ROOT / app).rglob("*.py")
)
# Names of tables, roles and databases cannot be parameters. These put them together by
# psycopg.sql, which quotes them.
COMPOSING = {
    "counters/partitions/reindex.py",
    "counters/partitions/create.py",
    "counters/db/roles.py",
    "counters_project/embedded/postgres.py",
    "rollups/folding/retention.py",
}
RUNS = {"execute", "executemany", "raw", "extra", "RawSQL", "RunSQL"}
STATEMENT = re.compile(
    r"^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|GRANT|REVOKE|SET|LOCK|COPY"
    r"|TRUNCATE|TABLE|CALL|DO|EXPLAIN|MERGE|VALUES)\s|\s(FROM|WHERE|ORDER BY|VALUES)\s"
)


def found_in(source: str, *, composing: bool = False) -> list[str]:
    """Return what is wrong with a module, each with its line."""
    tree = ast.parse(source)
    return [
        f"line {line}: {what}"
        for node in ast.walk(tree)
        for line, what in (*_built(node), *_run(node, composing=composing))
    ]


def _built(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield SQL that is put together from text, be it by f-string, %, + or format."""
    match node:
        case ast.JoinedStr() if _is_sql(node) and not _is_fixed(node):
            yield node.lineno, "a statement as an f-string"
        case ast.BinOp(left, ast.Mod() | ast.Add(), right) if _is_sql(left) or _is_sql(
            right
        ):
            yield node.lineno, "a statement by % or +"
        case ast.Call(ast.Attribute(text, "format" | "join" | "replace" as method)):
            if _is_sql(text):
                yield node.lineno, f"a statement by .{method}()"


def _run(node: ast.AST, *, composing: bool) -> Iterator[tuple[int, str]]:
    """Yield calls that run what is neither a literal nor a statement file."""
    if not isinstance(node, ast.Call):
        return
    function = node.func
    name = getattr(function, "attr", getattr(function, "id", ""))
    if name == "SQL" and not composing:
        yield node.lineno, "psycopg.sql outside of the modules for it"
    if composing or name not in RUNS or not node.args or _is_of_super(function):
        return
    if not _is_fixed(node.args[0]):
        yield node.lineno, f".{name}() of {ast.unparse(node.args[0])}"


def _is_of_super(function: ast.expr) -> bool:
    """A management command has an execute() of its own."""
    return ast.unparse(function).startswith("super().")


def _is_fixed(node: ast.expr) -> bool:
    """Whether it is the same in every run: a literal, a constant, a statement file."""
    match node:
        case ast.Constant() | ast.Call(ast.Name("load")):
            return True
        case ast.Name(name):
            return name.isupper()
        case ast.JoinedStr(parts):
            return all(_is_fixed(part) for part in parts)
        case ast.FormattedValue(value):
            return _is_fixed(value)
    return False


def _is_sql(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        # What is put in stands for a word, so that the words around it are seen.
        parts = [
            one.value if isinstance(one, ast.Constant) else "x" for one in node.values
        ]
        return bool(STATEMENT.search("".join(map(str, parts))))
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and bool(STATEMENT.search(node.value))
    )


@pytest.mark.parametrize("file", FILES, ids=str)
def test_module__builds_no_sql(file: Path) -> None:
    composing = str(file) in COMPOSING

    assert found_in((ROOT / file).read_text(), composing=composing) == []


@pytest.mark.parametrize(
    "line",
    [
        "cursor.execute(f\"SELECT * FROM x WHERE name = '{name}'\")",
        'cursor.execute("DELETE FROM x WHERE id = %s" % number)',
        'cursor.execute("DELETE FROM x WHERE id = " + number)',
        'cursor.execute("DELETE FROM {}".format(table))',
        'statement = f"UPDATE {table} SET x = 1"',
        "cursor.execute(statement, [1])",
        "Model.objects.raw(query)",
        'Model.objects.extra(where + "x")',
        'Value(RawSQL(f"now() - {span}", []))',
        'cursor.execute(load("app", "name").replace("x", y))[0]',
        'cursor.execute(sql.SQL("DROP TABLE {}").format(name))',
    ],
)
def test_search__finds(line: str) -> None:
    # The last but one is a statement file that is changed on its way.
    assert found_in(line) != []


@pytest.mark.parametrize(
    "line",
    [
        'cursor.execute("SELECT * FROM x WHERE name = %s", [name])',
        'cursor.execute(load("counters", "add_event"), parameters)',
        "cursor.execute(_STATEMENT, [1])",
        "cursor.execute(f\"SET LOCAL lock_timeout = '{PATIENCE}'\")",
        'say(f"The partition {name} is made from {since}")',
        "super().execute(*args, **options)",
    ],
)
def test_search__lets_pass(line: str) -> None:
    assert found_in(line) == []


def test_composing__modules_are_there() -> None:
    assert {str(file) for file in FILES} >= COMPOSING
