"""The handlers that are measured and the manifest that deploys them to Casemate."""

import runpy
from pathlib import Path

import pytest
from bench.client import answer, event
from bench.environment import INTERPRETER, SOURCES, TOOLS, check_tools
from bench.errors import ToolMissingError
from bench.run import names
from bench.targets.casemate import Plan, manifest, write_project

from casemate.manifest import load
from casemate.model.function import Isolation


def test_plain_handler_gives_the_right_answer() -> None:
    handle = runpy.run_path(str(SOURCES / "handlers" / "plain.py"))["handle"]
    assert handle(event(12), None) == answer(12)
    # the load script compares text: the order must be that of a framework that sorts keys
    assert list(handle(event(12))) == sorted(answer(12))


def test_manifest_is_one_that_casemate_takes(tmp_path: Path) -> None:
    plans = [
        Plan(name="one"),
        Plan(name="two", handler="tables", isolation="instance", keep="2s"),
    ]
    write_project(tmp_path, "sample", plans)
    project = load(tmp_path / "casemate.toml")
    one, two = project.function("one"), project.function("two")
    assert one is not None
    assert two is not None
    assert (one.isolation, one.limits.keep, one.requirements) == (Isolation.REQUEST, 300.0, None)
    assert (two.isolation, two.limits.keep) == (Isolation.INSTANCE, 2.0)
    assert two.requirements == "requirements.txt"
    assert one.python == INTERPRETER.minor
    assert manifest("sample", plans) == (tmp_path / "casemate.toml").read_text("utf-8")


def test_every_pinned_package_has_a_hash() -> None:
    lists = list(SOURCES.glob("*/requirements.txt"))
    assert len(lists) == len(list(SOURCES.glob("*/requirements.in"))) == 6
    for path in lists:
        text = path.read_text("utf-8")
        entries = [part for part in text.split("\n") if part and part[0] not in " #"]
        assert entries
        assert all("==" in entry and entry.endswith("\\") for entry in entries), path
        for pinned in path.with_suffix(".in").read_text("utf-8").split():
            assert pinned in text


def test_missing_programs_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolMissingError) as caught:
        check_tools()
    assert all(package in str(caught.value) for package in TOOLS.values())


def test_names_for_the_command_line_are_distinct_and_plain() -> None:
    assert len(set(names())) == len(names()) == 13
    assert all(not set(name) & set(" ,+") for name in names())
