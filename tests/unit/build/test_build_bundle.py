"""Builds without dependencies; those with them are in tests/integration."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from casemate.build import BuildError, CodeSyntaxError, UnsupportedRuntimeError, verify
from casemate.build.bundle import build
from casemate.build.interpreters import Interpreter
from casemate.model.function import FunctionSpec
from casemate.model.grant import BucketSpec, Grant, GrantKind, QueueSpec, Resources

pytestmark = pytest.mark.sandbox
TODAY = date(2026, 11, 1)
SPEC = FunctionSpec(name="hello", handler="app:handler")


class Building:
    def __init__(self, root: Path, tmp_path: Path, interpreters: tuple[Interpreter, ...]) -> None:
        self.root, self.tmp_path, self.interpreters = root, tmp_path, interpreters

    def __call__(  # type: ignore[no-untyped-def]
        self,
        spec: FunctionSpec = SPEC,
        out: str = "out",
        day: date = TODAY,
        resources: Resources | None = None,
    ):
        return build(
            self.root,
            "demo",
            spec,
            self.tmp_path / out,
            cache=self.tmp_path / "cache",
            interpreters=self.interpreters,
            today=day,
            resources=resources,
        )

    def left(self, out: str = "out") -> list[str]:
        return sorted(
            p.name for p in (self.tmp_path / out).iterdir() if not p.name.endswith(".lock")
        )


@pytest.fixture
def building(tmp_path: Path, interpreters: tuple[Interpreter, ...]) -> Building:
    root = tmp_path / "project"
    root.mkdir(mode=0o700)
    (root / "app.py").write_text("def handler(event, context):\n    return event\n")
    (root / ".env").write_text("SECRET=1\n")
    return Building(root, tmp_path, interpreters)


def test_a_bundle_is_what_its_name_says(building: Building) -> None:
    built = building()
    assert built.path == building.tmp_path / "out" / built.digest
    verify(built.path)
    assert built.manifest.digest() == built.digest
    assert built.manifest.function.python == building.interpreters[-1].minor
    assert built.manifest.lock_sha256 is None
    assert building.left() == [built.digest]
    assert {p.name for p in built.path.iterdir()} == {"bundle.json", "code"}
    assert built.path.stat().st_mode & 0o777 == 0o755
    assert not (built.path / "code/.env").exists()


def test_the_digest_depends_on_the_content_alone(building: Building) -> None:
    first = building()
    os.utime(building.root / "app.py", (0, 0))
    (building.root / "app.py").chmod(0o600)
    (building.root / ".env").write_text("SECRET=2\n")
    assert building(out="elsewhere").digest == first.digest
    (building.root / "app.py").write_text("handler = print\n")
    assert building().digest != first.digest


def test_a_strict_umask_changes_nothing(building: Building) -> None:
    first = building()
    os.umask(0o077)
    second = building(out="strict")
    assert second.digest == first.digest
    for path in [second.path, *second.path.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


def test_a_damaged_bundle_is_replaced(building: Building) -> None:
    built = building()
    (built.path / "code/app.py").write_text("evil")
    assert building().digest == built.digest
    verify(built.path)
    assert building.left() == [built.digest]


@pytest.mark.parametrize("text", ["def f(:\n", "\0", "x = '"])
def test_code_that_is_not_python_is_refused_and_leaves_nothing(
    building: Building, text: str
) -> None:
    (building.root / "broken.py").write_text(text)
    with pytest.raises(CodeSyntaxError, match=r"broken\.py"):
        building()
    assert building.left() == []


def test_a_version_past_its_end_is_refused_and_one_near_it_warned_of(building: Building) -> None:
    oldest = building.interpreters[0]
    spec = FunctionSpec(name="hello", handler="app:handler", python=oldest.minor)
    with pytest.raises(UnsupportedRuntimeError):
        building(spec, day=date(2035, 1, 1))
    assert any("end of life" in w for w in building(spec, day=oldest.end_of_life).warnings)
    assert building(spec).warnings == ()


def test_builds_of_one_function_do_not_disturb_each_other(building: Building) -> None:
    with ThreadPoolExecutor(4) as pool:
        built = [f.result() for f in [pool.submit(building) for _ in range(4)]]
    assert len({b.digest for b in built}) == 1
    verify(built[0].path)
    assert building.left() == [built[0].digest]


def test_an_output_inside_the_source_stays_out(building: Building) -> None:
    built = build(
        building.root,
        "demo",
        SPEC,
        building.root / "bundles",
        cache=building.root / "cache",
        interpreters=building.interpreters,
        today=TODAY,
    )
    assert all(
        f.path.startswith("code/app") or "__pycache__/app" in f.path for f in built.manifest.files
    )


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "a\n", "A"])
def test_names_are_checked_before_they_become_paths(building: Building, name: str) -> None:
    with pytest.raises(BuildError, match="not a name"):
        building(FunctionSpec(name=name, handler="app:handler"))
    assert not (building.tmp_path / "out").exists()


def test_what_a_killed_build_left_is_removed(building: Building) -> None:
    out = building.tmp_path / "out"
    for name in (".build-demo.hello@left", ".build-demo.hello-2@running"):
        (out / name / "bundle").mkdir(parents=True)
    built = building()
    assert building.left() == [".build-demo.hello-2@running", built.digest]


def test_a_result_that_is_not_valid_is_refused(building: Building) -> None:
    with pytest.raises(BuildError, match="not a valid bundle"):
        building(FunctionSpec(name="hello", handler="no handler"))
    assert building.left() == []


def test_an_output_that_cannot_be_written_is_an_error(building: Building) -> None:
    (building.tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="could not read or write"):
        building(out="file/out")


def test_the_bundle_holds_the_resources_that_are_granted(building: Building) -> None:
    bucket = BucketSpec(name="uploads", versions=3)
    declared = Resources(buckets=(bucket,), queues=(QueueSpec(name="jobs"),))
    grant = Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read",))
    granted = FunctionSpec(name="hello", handler="app:handler", grants=(grant,))
    assert building(granted, resources=declared).manifest.resources == Resources(buckets=(bucket,))
    assert building(resources=declared).manifest.resources == Resources()
    with pytest.raises(BuildError, match="not declared: 'bucket uploads'"):
        building(granted)
    assert len(building.left()) == 2
