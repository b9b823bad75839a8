"""What attacks there are: at least 120, of each risk that can be attacked, each known by one id."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

import casemate.detection
from casemate.detection import shipped_rules
from casemate.drills import ATTACKER, PROJECT
from casemate.drills.catalogue import catalogue, chosen
from casemate.drills.control import CLOUDS, CONTROL
from casemate.drills.detections import AFTER, AT_NIGHT, RECORDED, STEPS
from casemate.drills.drill import Way
from casemate.drills.events import SOURCES
from casemate.drills.leftovers import projects_of
from casemate.drills.playing import MARKS
from casemate.drills.recorded import found_on_record
from casemate.drills.running import PROJECT_NAME, played_rules
from casemate.model.drill import DRILL_PROJECTS
from casemate.model.errors import NotFoundError
from casemate.operations.catalogue import FORMS


def test_there_are_enough_and_each_is_one() -> None:
    assert len(catalogue()) >= 120
    assert len({each.id for each in catalogue()}) == len(catalogue())
    assert {each.way for each in catalogue()} == set(Way)
    assert {1, 2, 3, 4, 5} <= {each.risk for each in catalogue()}
    for each in catalogue():
        assert re.fullmatch(r"[a-z0-9]+(-[A-Za-z0-9_]+)*", each.id), each.id
        assert re.fullmatch(r"T\d{4}(\.\d{3})?", each.technique), each.id
        assert each.title


def test_each_source_brings_each_kind_of_hostile_data() -> None:
    kinds = Counter(each.source for each in catalogue() if each.way is Way.EVENT)
    assert set(kinds) == set(SOURCES)
    assert len(set(kinds.values())) == 1


def test_some_are_chosen_by_how_their_ids_begin() -> None:
    assert {each.way for each in chosen(["residue"])} == {Way.RESIDUE}
    assert chosen([]) is catalogue()
    assert len(chosen(["event-queue", "error"])) > 8
    with pytest.raises(NotFoundError, match="begins with 'nothing'"):
        chosen(["error", "nothing"])


def test_the_project_has_what_the_attacks_name() -> None:
    manifest = tomllib.loads((PROJECT / "casemate.toml").read_text())
    assert manifest["project"]["name"] == PROJECT_NAME
    assert projects_of(PROJECT_NAME) == DRILL_PROJECTS
    for function in manifest["function"].values():
        assert (PROJECT / f"{function['handler'].partition(':')[0]}.py").is_file()
    text = {name: (PROJECT / f"{name}.py").read_text() for name in ("careless", "victim", "leaver")}
    assert all(mark in text["careless"] for mark in MARKS if mark.endswith(("text", "table")))
    calls = ATTACKER.read_text()
    for each in catalogue():
        if each.way is Way.CALL and each.play["function"] == "attacker":
            event = each.play["event"]
            assert f"def {event['attack']}(" in calls, each.id
            if event["attack"] == "call" and not event["name"].startswith("unshare-"):
                assert f'"{event["name"]}":' in calls, each.id
        if each.way is Way.EVENT:
            assert f"def {each.play['text'].partition(' ')[0]}(" in text["victim"]
        if each.way is Way.ERROR:
            assert f"def {each.play['how']}(" in text["careless"]


def test_the_functions_are_python() -> None:
    for path in PROJECT.glob("*.py"):
        ast.parse(path.read_text())


ATTACKED = {
    # What public collections do to clouds (ATT&CK for IaaS and containers, Stratus Red Team), where
    # it has a meaning here: which tactics, and by which technique.
    "persistence": {"T1098", "T1098.001", "T1098.003", "T1136.003", "T1525"},
    "defense evasion": {"T1562.001", "T1562.007", "T1562.008", "T1070", "T1578.004", "T1484.002"},
    "credential access": {"T1552.005", "T1555.006", "T1110"},
    "discovery": {"T1526", "T1087.004", "T1069.003", "T1518.001", "T1201"},
    "collection and exfiltration": {"T1530", "T1537", "T1048", "T1654"},
    "impact": {"T1485", "T1496", "T1531"},
}


@pytest.mark.parametrize("tactic", ATTACKED)
def test_counterparts_of_attacks_on_clouds_are_played(tactic: str) -> None:
    played = {each.technique for each in catalogue() if each.way is not Way.CONTAINMENT}
    assert ATTACKED[tactic] <= played
    assert len({each.cloud for each in catalogue() if each.cloud}) >= 35


def test_there_is_one_for_each_smaller_containment() -> None:
    names = {each.play["name"] for each in catalogue() if each.way is Way.CONTAINMENT}
    assert {
        *("cut-egress", "block-address", "withhold-secrets", "freeze-alias", "seal-evidence"),
        *("rotate-secret", "page"),
    } <= names


def test_requests_of_the_control_plane_are_operations_that_there_are() -> None:
    known = {
        (method, re.compile(re.sub(r"{+[^}]+}+", "[^/]+", path) + "$"))
        for method, _, path in (form.declared.http.partition(" ") for form in FORMS)
        if path
    }
    for name, (_, _, denied, play, _) in CONTROL.items():
        assert denied == "authentication"
        path = play["path"].removeprefix("/api/v1").replace("{p}", PROJECT_NAME)
        assert any(m == play["method"] and at.match(path) for m, at in known), name
    assert set(CLOUDS) - set(CONTROL) == {
        *("list-secrets", "add-user", "add-token", "list-users", "list-functions"),
        *("remove-function", "read-logs"),
    }


def test_each_rule_of_detection_has_an_attack_or_a_reason_why_it_is_on_record() -> None:
    rules = [about.name for about in shipped_rules().reporting()]
    ours = {each.rule: each for each in catalogue() if each.rule}
    assert sorted(ours) == sorted(rules)
    for each in ours.values():
        assert (each.way is Way.RECORDED) is bool(each.recorded) is not bool(each.play), each.id
    # None is in two tables, of which the one would hide what the other says.
    tables = [*AFTER, *RECORDED, *(rule for _, found in STEPS.values() for rule in found)]
    assert sorted(tables) == sorted(rules)
    assert len(RECORDED) < len(rules) * 0.36
    for prefix in AFTER.values():
        assert chosen([prefix])


@pytest.mark.parametrize("name", sorted(STEPS))
def test_steps_are_of_functions_that_there_are(name: str) -> None:
    """They use no function, grant or name that the project has not."""
    text = inspect.getsource(STEPS[name][0])
    manifest = tomllib.loads((PROJECT / "casemate.toml").read_text())
    for function in re.findall(r'actors\.invoke\(\s*"([a-z-]+)', text):
        assert function in manifest["function"], function
    holder = (PROJECT / "holder.py").read_text()
    for does in re.findall(r'"do": "([a-z]+)"', text):
        assert f"def {does}(" in holder


def test_what_a_run_at_night_sets_off_is_taken_away_as_well() -> None:
    """Such rules are not played, and still find what is done then."""
    folder = Path(casemate.detection.__file__).parent / "rules"
    rules = [rule for at in folder.glob("*.yml") for rule in yaml.safe_load_all(at.read_text())]
    timely = {rule["name"] for rule in rules if "time|hour" in str(rule.get("detection"))}
    assert timely == set(AT_NIGHT)
    assert timely < played_rules()


@pytest.mark.parametrize("rule", sorted(RECORDED))
def test_a_rule_tells_the_attack_on_record_from_its_twin(rule: str) -> None:
    assert found_on_record(rule) == (True, False)
