"""Every entry of the tables of watched libraries, against a module made like the library."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest

from casemate.guard.core import Guard
from casemate.guard.evaluation import choosing
from casemate.guard.nosql import paths as json_paths
from casemate.guard.objects import decrypting
from casemate.guard.pages import cleaning
from casemate.guard.paths import readers
from casemate.guard.sinks import path
from casemate.guard.sql import orm, services
from casemate.guard.url import connections
from casemate.guard.verdict import BlockedError

HOSTILE = {
    "path": "/etc/passwd",
    "sql": "x' OR 1=1 --",
    "url": "http://10.0.0.1/x",
    "host": "10.0.0.1",
    "code": "os.system",
    "nosql": "a' || b || 'c",
}
HARMLESS = {
    "path": "/data/of/the/code.csv",
    "sql": "SELECT name FROM t",
    "url": "https://api.example.com/x",
    "host": "api.example.com",
    "code": "json.loads",
    "nosql": "users[*].name",
}
Entry = tuple[str, str, str, int, str]
"""Kind, module, function or method, place of the argument, its name."""


def entries() -> Iterator[Entry]:
    for module, functions in readers._TABLE.items():
        for name, (place, names) in functions:
            shift = -1 if name.endswith("__init__") else 0
            yield "path", module, name, place + shift, names[0]
    for module, (_, functions) in services._TABLE.items():
        for name, place, parameter in functions:
            yield "sql", module, name, place, parameter
    for module, functions in connections._TABLE.items():
        for name, kind, place, parameter in functions:
            yield kind, module, name, place, parameter
    for module, names in json_paths._TABLE.items():
        for name in names:
            yield "nosql", module, name, int((module, name) in json_paths._SECOND), "expression"


def fake(module: str, *functions: str) -> tuple[types.ModuleType, list[Any]]:
    """Return a module with these functions and methods, and what they are called with."""
    made, calls = types.ModuleType(module), []

    def function(*arguments: Any, **named: Any) -> None:
        calls.append((arguments, named))

    for dotted in functions:
        kind, _, name = dotted.rpartition(".")
        owner = vars(made).setdefault(kind, type(kind, (), {})) if kind else made
        code, closure = function.__code__, function.__closure__
        setattr(owner, name, types.FunctionType(code, globals(), name, None, closure))
    return made, calls


def patched(guard: Guard, module: types.ModuleType, kind: str) -> None:
    tables = {
        "path": readers.patches(path.check),
        "sql": services.patches(),
        "url": connections.patches(),
        "host": connections.patches(),
        "nosql": json_paths.patches("nosql"),
        "code": choosing.patches("code"),
    }
    tables[kind][module.__name__](guard, module)


def called(module: types.ModuleType, dotted: str, place: int, name: str, value: object) -> None:
    owner, _, last = dotted.rpartition(".")
    before = [None] * max(place, 0)
    given, named = ([*before, value], {}) if place >= 0 else ([], {name: value})
    if owner and last == "__init__":
        getattr(module, owner)(*given, **named)
    elif owner:
        getattr(getattr(module, owner)(), last)(*given, **named)
    else:
        getattr(module, last)(*given, **named)


ENTRIES = [e for e in entries() if e[1] not in ("duckdb", "apsw", "lxml.etree", "lxml.objectify")]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e[1]}.{e[2]}")
def test_each_entry_stops_the_events_data_and_nothing_else(entry: Entry) -> None:
    kind, name, function, place, parameter = entry
    guard = Guard()
    module, calls = fake(name, function)
    patched(guard, module, kind)
    guard.begin({"v": HOSTILE[kind], "w": "other"})
    value = guard.taint._waiting[0][2]["v"]  # the very object of the event
    with pytest.raises(BlockedError):
        called(module, function, place, parameter, value)
    if place >= 0:
        assert not calls
    called(module, function, place, parameter, HARMLESS[kind])
    assert calls
    guard.end()
    called(module, function, place, parameter, value)


@pytest.mark.parametrize(
    ("module", "function", "given"),
    [
        ("hydra.utils", "get_class", "os.system"),
        ("werkzeug.utils", "import_string", "os:system"),
        ("zope.dottedname.resolve", "resolve", "os.system"),
        ("celery.utils.imports", "symbol_by_name", "os:system"),
        (
            "hydra._internal.instantiate._instantiate2",
            "instantiate",
            {"a": [{"_target_": "os.system"}]},
        ),
    ],
)
def test_names_of_classes_are_the_codes(module: str, function: str, given: Any) -> None:
    guard = Guard()
    made, calls = fake(module, function)
    patched(guard, made, "code")
    guard.begin({"v": given})
    with pytest.raises(BlockedError):
        getattr(made, function)(guard.taint._waiting[0][2]["v"])
    assert not calls
    getattr(made, function)({"_target_": "json.loads"} if isinstance(given, dict) else "json.loads")


@pytest.mark.parametrize("method", ["Select.filter_by", "Query.filter_by"])
def test_columns_by_keyword_are_the_codes(method: str) -> None:
    module = "sqlalchemy.sql.selectable" if method.startswith("Select") else "sqlalchemy.orm.query"
    guard = Guard()
    made, calls = fake(module, method)
    orm.PATCHES[module](guard, made)
    guard.begin({"v": {"is_admin": True}})
    owner, _, name = method.partition(".")
    query = getattr(getattr(made, owner)(), name)
    with pytest.raises(BlockedError):
        query(**guard.taint._waiting[0][2]["v"])
    query(name="is_admin")
    assert len(calls) == 1


def test_what_is_decrypted_has_the_origin_of_what_was_encrypted() -> None:
    guard = Guard()
    module = types.ModuleType("cryptography.fernet")
    module.Fernet = type("Fernet", (), {"decrypt": lambda self, token: b"x' OR 1=1"})  # type: ignore[attr-defined]
    decrypting.patches()["cryptography.fernet"](guard, module)
    guard.begin({"token": "gAAAA-token"})
    plain = module.Fernet().decrypt(guard.taint._waiting[0][2]["token"])
    [span] = guard.spans("name = 'x' OR 1=1'")
    assert (plain, span.origin.pointer) == (b"x' OR 1=1", "/token")


def test_what_was_cleaned_is_remembered_for_its_page_alone() -> None:
    guard = Guard()
    module = types.ModuleType("nh3")
    module.clean = lambda text: text  # type: ignore[attr-defined]
    module.Cleaner = type("Cleaner", (), {"clean": lambda _, text: text})  # type: ignore[attr-defined]
    cleaning.patches()["nh3"](guard, module)
    guard.begin({"v": "<b>x</b>"})
    module.clean("<b>x</b>")
    module.Cleaner().clean("<i>y</i>")
    assert cleaning.cleaned_of(guard) == ("<b>x</b>", "<i>y</i>")
    guard.begin({"v": 1})
    assert cleaning.cleaned_of(guard) == ()


def test_a_dependencys_import_of_what_the_event_names_is_found() -> None:
    guard = Guard()
    guard.begin({"v": "os.path:join", "w": "plain", "x": "email.address"})
    assert choosing.judge_imported(guard, "os.path") is not None
    assert choosing.judge_imported(guard, "plain") is None
    assert choosing.judge_imported(guard, "json") is None


@pytest.mark.parametrize("keyword", ["title__contains", "year__gte", "title", "stars__in"])
def test_a_column_that_peewee_compares_may_be_chosen(keyword: str) -> None:
    guard = Guard()
    made, calls = fake("peewee", "ModelSelect.filter")
    orm.PATCHES["peewee"](guard, made)
    guard.begin({"v": {keyword: "x", "password_hash": "x", "_meta": "x", "author__token": "x"}})
    given = guard.taint._waiting[0][2]["v"]
    query = made.ModelSelect().filter
    query(**{name: value for name, value in given.items() if name == keyword})
    assert len(calls) == 1
    for name in set(given) - {keyword}:
        with pytest.raises(BlockedError):
            query(**{name: given[name]})


def test_a_pattern_is_asked_for_where_the_code_names_it() -> None:
    guard = Guard()
    guard.begin({"v": 1})
    assert not orm.compares(guard, "title__iregex")
    guard.constants.add_code(compile("OFFERED = {'contains', 'iregex'}", "<code>", "exec"))
    assert orm.compares(guard, "title__iregex")
    assert not orm.compares(guard, "title__regex")
    assert not orm.compares(guard, "author__token__iregex")


def test_a_feed_that_is_given_as_text_is_no_address() -> None:
    assert not connections._names_a_place(b" <feed xmlns='http://www.w3.org/2005/Atom'>")
    assert connections._names_a_place("https://example.org/feed")
