"""An attack on a real node becomes an incident by itself, is contained, mended, and reported on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.node import TestNode

pytestmark = pytest.mark.sandbox
CODE = """
import sqlite3
def handler(event, context):
    if "secret" in event:
        return context.secret("key")
    with sqlite3.connect(":memory:") as database:
        return database.execute(f"SELECT '{event['name']}'").fetchall()
"""


def done(node: TestNode, *arguments: str) -> str:
    ran = casemate(node, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_from_the_attack_to_the_report(node: TestNode) -> None:
    node.deploy(CODE, name="pay")
    assert node.invoke({"name": "Ada"}, function="t/pay").status_code == 200
    began = time.monotonic()
    assert node.invoke({"name": "x' OR '1'='1"}, function="t/pay").status_code == 500

    def found() -> list[dict[str, object]]:
        incidents = json.loads(done(node, "incident", "ls", "--json"))["incidents"]
        return [each for each in incidents if "function:t/pay" in each["things"]]

    node.wait_until(found)
    noticed = time.monotonic() - began
    [incident] = found()
    assert noticed < 10 and incident["state"] == "open"
    id = str(incident["id"])

    done(node, "incident", "assign", id, "ada")
    done(node, "incident", "note", id, "it was not our scanner")
    contained = json.loads(
        done(node, "incident", "contain", id, "--reason", "until it is mended", "--yes", "--json")
    )
    assert [each["done"] for each in contained["actions"]] == [True]
    assert node.invoke({"name": "Ada"}, function="t/pay").status_code == 503

    def state() -> str:
        return str(json.loads(done(node, "incident", "show", id, "--json"))["state"])

    node.wait_until(lambda: state() == "contained")
    report = done(node, "incident", "report", id)
    assert "sql-injection" in report and "casemate release t/pay" in report

    done(node, "release", "t/pay", "--reason", "mended")
    assert node.invoke({"name": "Ada"}, function="t/pay").status_code == 200
    done(node, "incident", "resolve", id, "--reason", "mended")
    node.wait_until(lambda: state() == "resolved")
    timeline = json.loads(done(node, "incident", "show", id, "--json"))["timeline"]
    kinds = [each["kind"] for each in timeline if each["kind"] != "finding"]
    assert kinds == ["assign", "note", "contain", "state"]
    assert {each["by"] for each in timeline if each["kind"] != "finding"} == {"user:owner"} or all(
        each["by"] for each in timeline if each["kind"] != "finding"
    )
    page = done(node, "incident", "report", id, "--format", "html")
    assert page.startswith("<!doctype html>") and "<script" not in page


MANIFEST = """
[project]
name = "t"
[function.refund]
handler = "app:handler"
[function.refund.recordings]
sample = 1.0
"""


def test_a_replay_shows_whether_a_version_closes_it(node: TestNode, tmp_path: Path) -> None:
    (tmp_path / "casemate.toml").write_text(MANIFEST)
    (tmp_path / "app.py").write_text(CODE)
    node.deploy(tmp_path)
    assert node.invoke({"name": "Ada"}, function="t/refund").status_code == 200
    assert node.invoke({"name": "x' OR '1'='1"}, function="t/refund").status_code == 500

    def found() -> list[str]:
        incidents = json.loads(done(node, "incident", "ls", "--json"))["incidents"]
        return [each["id"] for each in incidents if "function:t/refund" in each["things"]]

    def recordings() -> list[Any]:
        return list(node.get("/recordings", project="t", function="refund")["recordings"])

    node.wait_until(found)
    node.wait_until(lambda: len(recordings()) == 2)

    [id] = found()

    def replayed(*arguments: str) -> tuple[int, dict[str, Any]]:
        folder = ("--manifest", str(tmp_path), "--function", "t/refund", "--json")
        ran = casemate(node, "replay", id, *arguments, *folder)
        assert "Ada" not in ran.stdout and "OR" not in ran.stdout, ran.stdout
        return ran.returncode, json.loads(ran.stdout)

    code, told = replayed()
    assert (code, told["verdict"]) == (1, "open"), told
    [function] = told["functions"]
    assert [row["shown"] for row in function["rows"]] == ["again", "same"], told

    text = """f"SELECT '{event['name']}'")"""
    assert text in CODE
    (tmp_path / "app.py").write_text(CODE.replace(text, '"SELECT ?", (event["name"],))'))
    node.deploy(tmp_path)
    code, told = replayed("--version", "2")
    assert (code, told["verdict"]) == (0, "closed"), told
    assert [row["shown"] for row in told["functions"][0]["rows"]] == ["gone", "same"], told
    read = node.get("/journal", kind="OperationPerformed", search="showRecording")["entries"]
    assert len(read) == 4, "that recordings were looked at is on record"


def test_what_there_is_not_is_3_and_a_wrong_word_2(node: TestNode) -> None:
    assert casemate(node, "incident", "show", "inc_none").returncode == 3
    assert (
        casemate(node, "incident", "resolve", "inc_none", "--reason", "x", "--as", "x").returncode
        == 2
    )
