"""The dashboard and the alert rules name what a node has, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from casemate.metrics import Registry, functions
from casemate.metrics.exposition import Exposition, Format
from casemate.model.denial import DenialKind
from casemate.model.invocation import Outcome

ROOT = Path(__file__).resolve().parents[3]
ALERTS, DASHBOARD = ROOT / "monitoring" / "alerts.yml", ROOT / "monitoring" / "grafana.json"
DOCS = ROOT / "docs" / "explanation" / "metrics.md"
SOURCES = ("src/casemate/gateway/observed.py", "src/casemate/gateway/observed_monitor.py")
_NAME = re.compile(r"\b(?:casemate|process)_[a-z][a-z0-9_]*")
_KINDS = re.compile(r"_(?:bucket|count|sum)$")


def of_functions() -> set[str]:
    registry = Registry()
    registry.of("p", "f")
    out = Exposition(Format.PLAIN)
    for _ in functions.write(out, [one.told() for one in registry]):
        pass
    return families(out.text())


def families(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def of_the_node() -> set[str]:
    """Return the families that `SOURCES` write, from their text."""
    text = "".join((ROOT / source).read_text() for source in SOURCES)
    named = set(re.findall(r'out\.family\(\s*"([a-z0-9_]+)"', text))
    listed = set(
        re.findall(r'^\s+(?:Plain)?\(\s*"([a-z0-9_]+)", "(?:gauge|counter)"', text, re.MULTILINE)
    )
    return named | {f"casemate_{name}" for name in listed}


KNOWN = of_functions() | of_the_node()


def expressions() -> list[str]:
    alerts = yaml.safe_load(ALERTS.read_text())
    found = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    found += [t["expr"] for panel in board["panels"] for t in panel.get("targets", ())]
    variables = board["templating"]["list"]
    return found + [v["query"]["query"] for v in variables if v["type"] == "query"]


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_name_is_one_that_a_node_has(expression: str) -> None:
    for name in _NAME.findall(expression):
        assert name in KNOWN or _KINDS.sub("", name) in KNOWN, name


def test_no_name_is_taken_for_a_part_of_a_histogram() -> None:
    """`promtool check metrics` refuses such names of anything else."""
    assert [name for name in KNOWN if _KINDS.search(name)] == []


def test_outcomes_and_kinds_are_those_there_are() -> None:
    text = "\n".join(expressions())
    for value in re.findall(r'outcome!?=~?"([^"]*)"', text):
        assert set(value.split("|")) <= {outcome.value for outcome in Outcome}, value
    for value in re.findall(r'kind="([^"]*)"', text):
        assert value in {kind.value for kind in DenialKind}, value


def test_alerts_are_told_apart_and_say_what_is_wrong() -> None:
    alerts = yaml.safe_load(ALERTS.read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    names = [rule["alert"] for rule in rules]
    assert len(set(names)) == len(names)
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"].endswith(".")


def test_the_dashboard_s_panels_are_told_apart_and_do_not_overlap() -> None:
    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_documentation_names_every_family() -> None:
    documented = set(_NAME.findall(DOCS.read_text()))
    assert documented >= KNOWN, sorted(KNOWN - documented)
    assert documented <= KNOWN | {"casemate_top"}, sorted(documented - KNOWN)


NO_PROMTOOL = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on this machine"
)


def promtool(what: str, *files: str, given: str = "") -> None:
    done = subprocess.run(
        ["promtool", "check", what, *files],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@NO_PROMTOOL
def test_prometheus_takes_the_rules() -> None:
    promtool("rules", str(ALERTS))


@NO_PROMTOOL
def test_prometheus_takes_what_the_dashboard_asks(tmp_path: Path) -> None:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    asked = [t["expr"] for panel in board["panels"] for t in panel.get("targets", ())]
    asked = [re.sub(r"\$__\w+", "5m", expression) for expression in asked]
    asked = [re.sub(r"\$\{?\w+\}?", "x", expression) for expression in asked]
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(asked)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("rules", str(file))


@NO_PROMTOOL
def test_prometheus_takes_the_metrics_of_functions() -> None:
    registry = Registry()
    registry.of("p", "f")
    out = Exposition(Format.PLAIN)
    for _ in functions.write(out, [one.told() for one in registry]):
        pass
    promtool("metrics", given=out.text())
