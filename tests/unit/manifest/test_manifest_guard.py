"""Exceptions of the sink guard in a manifest: narrow, with a reason, or refused."""

from __future__ import annotations

import msgspec
import pytest

from casemate.cli.changes import changes
from casemate.guard.sinks import SINKS
from casemate.manifest.guard_tables import MAX_EXCEPTIONS
from casemate.model.bundle import BundleManifest
from casemate.model.function import FunctionSpec, GuardException, GuardMode

REASON = "reviewed by two people"


def exception(
    sink: str = "sql", location: str = "app:query", reason: str = REASON, mode: str = ""
) -> str:
    lines = ["[[function.f.guard]]", f'sink = "{sink}"', f'location = "{location}"']
    lines += [f'reason = "{reason}"', *([f'mode = "{mode}"'] if mode else [])]
    return "\n".join(lines) + "\n"


def test_the_guard_is_on_without_a_word(project, function_text) -> None:
    assert project.load(function_text()).functions[0].guard == ()


APP = """
class Report:
    def query(self):
        return [x for x in (1, 2)]


def query(event):
    def inner():
        return 1
    return inner()


def handler(event, context):
    return query(event)
"""


@pytest.fixture(autouse=True)
def _code(project) -> None:
    (project.root / "app.py").write_text(APP)
    (project.root / "parts").mkdir()
    (project.root / "parts/__init__.py").write_text(APP)


@pytest.mark.parametrize(
    "location", ["app:14", "parts:Report.query", "app:query.<locals>.inner", "*"]
)
@pytest.mark.parametrize("sink", [*(s.name for s in SINKS if s.name != "response"), "*"])
def test_an_exception_names_a_sink_and_a_place(project, function_text, sink, location) -> None:
    loaded = project.load(function_text() + exception(sink, location))
    expected = GuardException(sink=sink, location=location, reason=REASON)
    assert loaded.functions[0].guard == (expected,)
    assert expected.mode is GuardMode.REPORT


@pytest.mark.parametrize(
    ("sink", "location", "told"),
    [
        ("sql", "app:qeury", "query"),
        ("sql", "app:1", "runs code"),
        ("sql", "app:999", "runs code"),
        ("sql", "other:query", "other.py"),
        ("response", "app:query", "app:handler"),
        ("response", "app:follow", "app:handler"),
    ],
)
def test_an_exception_that_can_match_nothing_is_refused(
    project, function_text, sink, location, told
) -> None:
    shown = project.problem(function_text() + exception(sink, location))
    assert shown.key == "function.f.guard[0].location"
    assert told in f"{shown.found} {shown.expected}"


@pytest.mark.parametrize("location", ["app:handler", "app:13", "*"])
def test_an_answers_exception_names_the_handler(project, function_text, location) -> None:
    [rule] = project.load(function_text() + exception("response", location)).functions[0].guard
    assert rule.location == location


def test_a_module_that_cannot_be_read_here_is_no_mistake(project, function_text) -> None:
    (project.root / "parts/__init__.py").write_text("def f(:\n")
    assert project.load(function_text() + exception("sql", "parts:f"))


def test_exceptions_stay_in_their_order(project, function_text) -> None:
    text = function_text() + exception(location="app:2", mode="block") + exception(location="*")
    modes = [rule.mode for rule in project.load(text).functions[0].guard]
    assert modes == [GuardMode.BLOCK, GuardMode.REPORT]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sink", "sq"),
        ("location", "app"),
        ("location", ""),
        ("location", "a b:c"),
        ("reason", "short"),
        ("reason", " " * 20),
        ("mode", "off"),
    ],
)
def test_what_is_not_narrow_or_not_reasoned_is_refused(project, function_text, key, value) -> None:
    shown = project.problem(function_text() + exception(**{key: value}))
    assert shown.key == f"function.f.guard[0].{key}"


def test_a_reason_cannot_be_left_out(project, function_text) -> None:
    text = function_text() + '[[function.f.guard]]\nsink = "sql"\nlocation = "*"\n'
    assert project.problem(text).key == "function.f.guard[0].reason"


def test_exceptions_are_few(project, function_text) -> None:
    text = function_text() + exception() * (MAX_EXCEPTIONS + 1)
    assert str(MAX_EXCEPTIONS) in project.problem(text).expected


def test_bundles_without_exceptions_keep_their_digests() -> None:
    spec = FunctionSpec(name="f", handler="app:handler", python="3.13")
    manifest = BundleManifest(project="p", function=spec, lock_sha256=None)
    assert b"guard" not in manifest.canonical()
    rule = GuardException(sink="sql", location="*", reason=REASON)
    other = msgspec.structs.replace(manifest, function=msgspec.structs.replace(spec, guard=(rule,)))
    assert b"guard" in other.canonical()
    assert other.digest() != manifest.digest()


def test_a_deploy_shows_what_changed() -> None:
    spec = FunctionSpec(name="f", handler="app:handler")
    rule = GuardException(sink="sql", location="app:query", reason=REASON)
    after = msgspec.structs.replace(spec, guard=(rule,))
    assert list(map(str, changes(spec, after))) == [
        "guard exception sql at app:query: report added"
    ]
    assert list(map(str, changes(after, spec))) == [
        "guard exception sql at app:query: report removed"
    ]
