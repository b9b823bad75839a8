"""The data that every package speaks in: frozen, named by its content, with plain errors."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import casemate.model
from casemate.model import errors
from casemate.model.bundle import DIGEST_PATTERN, BundleFile, BundleManifest, LockedPackage
from casemate.model.errors import CasemateError
from casemate.model.function import (
    HANDLER_PATTERN,
    NAME_PATTERN,
    BaselineSettings,
    FunctionSpec,
    Isolation,
    Limits,
    Project,
    Trust,
)
from casemate.model.invocation import Outcome
from casemate.model.path import Failure, Finished, RefusedError
from support.core import http_request, raw, request, spec, version


def manifest(**changes: object) -> BundleManifest:
    values: dict[str, object] = {
        "project": "t",
        "function": spec(routes=["GET /a"]),
        "lock_sha256": "c" * 64,
        "packages": (LockedPackage(name="a", version="1"),),
        "files": (BundleFile(path="code/app.py", size=3, sha256="b" * 64),),
    }
    return BundleManifest(**{**values, **changes})  # type: ignore[arg-type]


# -- bundles -------------------------------------------------------------------------------------


def test_a_bundle_is_named_by_its_canonical_encoding() -> None:
    given = manifest()
    assert given.digest() == hashlib.sha256(given.canonical()).hexdigest()
    assert re.fullmatch(DIGEST_PATTERN, given.digest())
    assert manifest().digest() == given.digest()


def test_the_canonical_encoding_is_compact_sorted_and_reversible() -> None:
    data = manifest().canonical()
    assert data == json.dumps(json.loads(data), separators=(",", ":"), sort_keys=True).encode()
    assert msgspec.json.decode(data, type=BundleManifest) == manifest()


@pytest.mark.parametrize(
    "changes",
    [
        {"project": "u"},
        {"function": spec(routes=["GET /b"])},
        {"function": spec(routes=["GET /a"], public=True)},
        {"function": spec(routes=["GET /a"], limits=Limits(memory=1))},
        {"lock_sha256": None},
        {"packages": ()},
        {"files": ()},
        {"files": (BundleFile(path="code/app.py", size=3, sha256="d" * 64),)},
        {"format": 2},
    ],
)
def test_any_change_is_another_bundle(changes: dict[str, object]) -> None:
    assert manifest(**changes).digest() != manifest().digest()


def test_a_limit_of_a_later_release_changes_no_digest_of_before() -> None:
    written = json.loads(manifest().canonical())["function"]["limits"]
    assert "warm" not in written
    kept = manifest(function=spec(routes=["GET /a"], limits=Limits(warm=2)))
    assert json.loads(kept.canonical())["function"]["limits"]["warm"] == 2
    assert msgspec.json.decode(kept.canonical(), type=BundleManifest) == kept


def test_a_part_of_baselines_of_a_later_release_changes_no_digest_of_before() -> None:
    def written(**settings: Any) -> Any:
        function = msgspec.structs.replace(
            spec(routes=["GET /a"]), baseline=BaselineSettings(**settings)
        )
        made = manifest(function=function)
        assert msgspec.json.decode(made.canonical(), type=BundleManifest) == made
        return json.loads(made.canonical())["function"].get("baseline")

    assert written() is None
    assert written(calls=7) == {"on_deviation": "report", "learn": 604800.0, "calls": 7}
    assert written(system_calls=True)["system_calls"] is True


# -- functions -----------------------------------------------------------------------------------


def test_the_defaults_are_the_safe_ones() -> None:
    made = FunctionSpec(name="f", handler="a:b")
    assert not made.public
    assert made.isolation is Isolation.REQUEST
    assert made.trust is Trust.NORMAL
    assert made.http == () and made.requirements is None


def test_every_limit_is_finite_and_positive() -> None:
    limits = msgspec.structs.asdict(Limits())
    assert limits.pop("warm") == 0  # bounds nothing: it is the least that waits
    for value in limits.values():
        assert 0 < value < 1 << 40


@pytest.mark.parametrize("name", ["a", "a1", "a-b", "a" * 63])
def test_names_are_dns_labels(name: str) -> None:
    assert re.fullmatch(NAME_PATTERN, name)


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "-a", "a-", "a_b", "a.b", "a" * 64, "a\n", "\u00e9"]
)
def test_what_is_no_name(name: str) -> None:
    assert not re.fullmatch(NAME_PATTERN, name)


@pytest.mark.parametrize("handler", ["a:b", "a.b_c:d", "_a:_b"])
def test_handlers_are_module_and_function(handler: str) -> None:
    assert re.fullmatch(HANDLER_PATTERN, handler)


@pytest.mark.parametrize(
    "handler", ["a", "a:", ":b", "a.:b", "a:b:c", "a/b:c", "a:b\n", "\u00e9:b"]
)
def test_what_is_no_handler(handler: str) -> None:
    assert not re.fullmatch(HANDLER_PATTERN, handler)


def test_a_function_is_found_by_name() -> None:
    project = Project(name="p", functions=(spec("f"), spec("g")))
    assert project.function("g") == spec("g")
    assert project.function("h") is None


# -- errors --------------------------------------------------------------------------------------


def every_error() -> list[type[CasemateError]]:
    found, todo = [], [CasemateError]
    while todo:
        kind = todo.pop()
        if kind.__module__.startswith("casemate."):  # not those that tests make for themselves
            found.append(kind)
        todo += kind.__subclasses__()
    return found


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_errors_end_in_error_and_say_what_they_are(kind: type[CasemateError]) -> None:
    assert kind.__name__.endswith("Error")
    assert (kind.__doc__ or "").strip()


def test_an_error_s_docstring_is_its_message() -> None:
    assert str(errors.NotFoundError()) == "There is no such thing."
    assert str(errors.NotFoundError("No f.", next_step="run ls")) == "No f. Next: run ls"
    assert errors.NotFoundError("No f.", next_step="run ls").message == "No f."


def test_only_what_can_succeed_later_is_retryable() -> None:
    retryable = {kind.__name__ for kind in vars(errors).values() if getattr(kind, "retryable", 0)}
    assert retryable == {"UnavailableError"}


def test_a_refusal_carries_what_the_caller_and_the_owner_are_told() -> None:
    failure = Failure(type="T", message="inside")
    error = RefusedError(Outcome.THROTTLED, "Full.", status=429, retry_after=2, failure=failure)
    assert (error.outcome, error.status, error.retry_after) == (Outcome.THROTTLED, 429, 2)
    assert "inside" not in str(error) and error.failure is failure


# -- HTTP ----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.binary(max_size=3)), max_size=5))
def test_the_first_header_of_a_name_is_returned(headers: list[tuple[bytes, bytes]]) -> None:
    head = http_request(headers=headers).head
    for name in (b"a", b"b", b"c"):
        values = [value for key, value in headers if key == name]
        assert head.header(name) == (values[0] if values else None)


# -- all of it -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (spec(), "public"),
        (Limits(), "memory"),
        (manifest(), "files"),
        (version(), "spec"),
        (raw(), "credential"),
        (request(), "event"),
        (Finished(outcome=Outcome.OK), "outcome"),
    ],
)
def test_data_cannot_be_changed(value: object, field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(value, field, None)


MODULES = sorted(Path(casemate.model.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_the_model_imports_nothing_of_ours_and_does_no_io(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            root = name.split(".")[0]
            assert name.startswith("casemate.model") or root in {
                "__future__",
                "ipaddress",  # reads texts, opens nothing
                "collections",
                "contextlib",
                "contextvars",
                "enum",
                "functools",
                "hashlib",
                "math",
                "msgspec",
                "re",
                "typing",
            }, name
