"""What answers may tell of the inside, in a manifest: a place, a word and a reason, or refused."""

from __future__ import annotations

import msgspec
import pytest

from casemate.cli.changes import changes
from casemate.guard.leaks.kinds import KINDS
from casemate.manifest.received import check_received
from casemate.model.bundle import BundleManifest
from casemate.model.errors import CasemateError
from casemate.model.function import ErrorException, FunctionSpec

ROUTE = '[[function.f.http]]\nmethod = "GET"\npath = "/debug/{rest...}"\n'


def entry(place: str = "*", what: str = "trace", reason: str = "operators read it") -> str:
    lines = ["[[function.f.errors]]", f'place = "{place}"', f'what = "{what}"']
    return "\n".join([*lines, f'reason = "{reason}"']) + "\n"


def test_nothing_is_told_without_a_word(project, function_text) -> None:
    spec = project.load(function_text()).functions[0]
    assert spec.errors == () and spec.shown(None) == () and spec.shown({"route": "/x"}) == ()


@pytest.mark.parametrize("what", [*KINDS, "*"])
@pytest.mark.parametrize("place", ["*", "invoke", "/debug/{rest...}"])
def test_an_exception_names_a_place_and_a_kind(project, function_text, place, what) -> None:
    loaded = project.load(function_text() + ROUTE + entry(place, what))
    expected = ErrorException(place=place, what=what, reason="operators read it")
    spec = loaded.functions[0]
    assert spec.errors == (expected,)
    assert spec.shown(None) == ((what,) if place in ("*", "invoke") else ())
    assert spec.shown({"route": "/debug/{rest...}"}) == (() if place == "invoke" else (what,))
    assert spec.shown({"route": "/other"}) == ((what,) if place == "*" else ())


@pytest.mark.parametrize(
    "text",
    [
        entry(place="/other"),
        entry(place="debug"),
        entry(place="* "),
        entry(place=""),
        entry(what="everything"),
        entry(what=""),
        entry(reason="why not"),
        entry().replace("reason", "because"),
        entry() * 21,
    ],
)
def test_what_holds_nowhere_or_has_no_reason_is_refused(project, function_text, text) -> None:
    with pytest.raises(CasemateError):
        project.load(function_text() + ROUTE + text)


def spec(*errors: ErrorException) -> FunctionSpec:
    return FunctionSpec(name="f", handler="app:handler", python="3.11", errors=errors)


GOOD = ErrorException(place="*", what="page", reason="shown to operators")


@pytest.mark.parametrize(
    "errors",
    [
        [ErrorException(place="/nowhere", what="page", reason="shown to operators")],
        [ErrorException(place="*", what="all", reason="shown to operators")],
        [ErrorException(place="*", what="page", reason="")],
        [GOOD] * 21,
    ],
)
def test_a_bundle_is_held_to_the_same(errors: list[ErrorException]) -> None:
    resources = BundleManifest(project="p", function=spec(), lock_sha256=None).resources
    check_received(spec(GOOD), resources)
    with pytest.raises(CasemateError):
        check_received(spec(*errors), resources)


def test_bundles_of_before_keep_their_digests_and_changes_are_shown() -> None:
    bundle = BundleManifest(project="p", function=spec(), lock_sha256=None)
    assert b'"errors"' not in bundle.canonical()
    assert msgspec.structs.replace(bundle, function=spec(GOOD)).digest() != bundle.digest()
    [change] = changes(spec(), spec(GOOD))
    assert (change.what, change.before, change.after) == ("error exception", "", "page at *")
    [change] = changes(spec(GOOD), spec())
    assert (change.before, change.after) == ("page at *", "")
