"""No statement for a database is made of what came from outside: values go beside it, always.

Found in the source: what is done to a connection is a constant, or is put together from constants
of its module. The few that are made otherwise are named here, each with why no outside text is in
them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import casemate

ROOT = Path(casemate.__file__).parent
PACKAGES = ("store", "postgresql", "sqlite", "migration")
DOING = frozenset({"execute", "executemany", "define", "send_query_params"})
MADE = {
    "migration.parts:_highest": "a table and a column that `migration.tables` names",
    "migration.parts:_kept": "tables, columns and conditions that `migration.tables` names",
    "migration.parts:_insert": "a table, columns and placeholders, by `migration.tables`",
    "migration.postgresql_place:mark_moved": "the name of a project's schema, made of letters",
    "migration.postgresql_place:drop": "the name of a project's schema, made of letters",
    "migration.postgresql_place:new_control": "tables that `migration.tables` names",
    "migration.postgresql_place:_rename": "names of schemas, made of letters",
    "store.postgresql.proofs.rows:all_items": "statements of the module that asks for all rows",
    "store.postgresql.proofs.witness:execute": "the statement it was given, looked at by its text",
    "store.postgresql.proofs.witness:executemany": "the statement it was given, likewise",
    "store.sqlite.connection:_check": "checks of the tables that the schema names",
    "store.sqlite.old_records:tables": "tables that the module names",
    "store.sqlite.old_records:rows": "tables and columns that the module names",
    "store.sqlite.old_records:forget": "tables that the module names",
    "postgresql.connection:_end_who_is_away": "numbers of ours, in a statement of the module",
    "postgresql.connection:_plainly": "the statement it was given; who gives it is looked at here",
    "postgresql.exchange:send": "a name that is a number of ours",
    "postgresql.exchange:_say": "the statement that a connection was given, translated",
    "postgresql.listening:listen": "the name of a channel, looked at one line above",
    "postgresql.migrating:_make": "the name of a schema, of letters, digits and underscores",
    "postgresql.migrating:_bring_forward": "statements of a schema",
    "postgresql.session:_one": "the name of a schema, looked at two lines above",
    "sqlite.engine:library_versions": "two names beside it",
    "sqlite.migrating:migrate": "statements of a schema, and how many there are",
    "sqlite.rows:insert_rows": "placeholders, after what its callers wrote",
    "sqlite.transaction:_undo": "one of the four statements of its callers",
}


def _constants(tree: ast.Module) -> set[str]:
    """Return the names that a module gives to what is put together from constants alone."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id.isupper():
                    names.add(target.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.name for alias in node.names if alias.name.isupper()}
    return names


def _is_constant(node: ast.expr, known: set[str]) -> bool:
    match node:
        case ast.Constant():
            return isinstance(node.value, str | int)
        case ast.Name():
            return node.id in known
        case ast.Attribute():
            return node.attr.isupper()
        case ast.JoinedStr():
            return all(
                _is_constant(part.value if isinstance(part, ast.FormattedValue) else part, known)
                or _is_number(part)
                for part in node.values
            )
        case ast.BinOp():
            return _is_constant(node.left, known) and _is_constant(node.right, known)
        case ast.IfExp():
            return _is_constant(node.body, known) and _is_constant(node.orelse, known)
    return False


def _is_number(part: ast.expr) -> bool:
    """Tell whether a part of an f-string can only be a whole number (`:d`)."""
    if not isinstance(part, ast.FormattedValue) or not isinstance(part.format_spec, ast.JoinedStr):
        return False
    return [v.value for v in part.format_spec.values if isinstance(v, ast.Constant)] == ["d"]


def made(source: str) -> Iterator[tuple[str, str]]:
    """Yield the function and the text of each statement that is not a constant."""
    tree = ast.parse(source)
    known = _constants(tree)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        local = set(known)
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
                and _is_constant(node.value, local)
            ):
                local.add(node.targets[0].id)
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in DOING
                and node.args
                and not _is_constant(node.args[0], local)
            ):
                yield function.name, ast.unparse(node.args[0])


def test_what_is_done_to_a_database_is_a_constant() -> None:
    found = set()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found |= {f"{module}:{function}" for function, _ in made(path.read_text())}
    assert found == set(MADE)


def test_what_is_made_of_a_value_is_found() -> None:
    """Else the test above would pass whatever is written."""
    source = """
_ALL = "SELECT a FROM t"
def good(c, a):
    where = "WHERE a = ?"
    c.execute(_ALL); c.execute(f"{_ALL} {where}", (a,)); c.execute(f"PRAGMA x = {a:d}")
def f(c, name): c.execute(f"SELECT a FROM t WHERE b = '{name}'")
def g(c, name): c.execute("SELECT a FROM t WHERE b = '" + name + "'")
def h(c, name): c.execute("SELECT a FROM t WHERE b = '%s'" % name)
def i(c, name):
    text = "SELECT " + name
    c.executemany(text, [])
def j(c, name): c.execute(_ALL.replace("t", name))
def k(c, NAME): c.execute(f"{_ALL} WHERE {NAME}")
"""
    assert [function for function, _ in made(source)] == ["f", "g", "h", "i", "j", "k"]
