"""Exceptions of the sink guard in a manifest: narrow, with a reason, or refused."""

from __future__ import annotations

import msgspec
import pytest

from casemate.cli.changes import changes
from casemate.manifest.guard_tables import MAX_EXCEPTIONS
from casemate.model.bundle import BundleManifest
from casemate.model.function import FunctionSpec, GuardException, GuardMode
from casemate.runner.guard.sinks import SINKS

REASON = "reviewed by two people"


def exception(
    sink: str = "sql", location: str = "app:query", reason: str = REASON, mode: str = ""
) -> str:
    lines = ["[[function.f.guard]]", f'sink = "{sink}"', f'location = "{location}"']
    lines += [f'reason = "{reason}"', *([f'mode = "{mode}"'] if mode else [])]
    return "\n".join(lines) + "\n"


def test_the_guard_is_on_without_a_word(project, function_text) -> None:
    assert project.load(function_text()).functions[0].guard == ()


@pytest.mark.parametrize("location", ["app:12", "app.parts:Report.query", "app:f.<locals>.g", "*"])
@pytest.mark.parametrize("sink", [*(sink.name for sink in SINKS), "*"])
def test_an_exception_names_a_sink_and_a_place(project, function_text, sink, location) -> None:
    loaded = project.load(function_text() + exception(sink, location))
    expected = GuardException(sink=sink, location=location, reason=REASON)
    assert loaded.functions[0].guard == (expected,)
    assert expected.mode is GuardMode.REPORT


def test_exceptions_stay_in_their_order(project, function_text) -> None:
    text = function_text() + exception(location="app:1", mode="block") + exception(location="*")
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
