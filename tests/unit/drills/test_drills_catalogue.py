"""What attacks there are: at least 120, of each risk that can be attacked, each known by one id."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter

import pytest

from casemate.drills import ATTACKER, PROJECT
from casemate.drills.catalogue import CATALOGUE, chosen
from casemate.drills.drill import Way
from casemate.drills.events import SOURCES
from casemate.drills.playing import MARKS
from casemate.drills.running import FUNCTIONS, PROJECT_NAME
from casemate.model.errors import NotFoundError


def test_there_are_enough_and_each_is_one() -> None:
    assert len(CATALOGUE) >= 120
    assert len({each.id for each in CATALOGUE}) == len(CATALOGUE)
    assert {each.way for each in CATALOGUE} == set(Way)
    assert {1, 2, 3, 4, 5} <= {each.risk for each in CATALOGUE}
    for each in CATALOGUE:
        assert re.fullmatch(r"[a-z0-9]+(-[A-Za-z0-9_]+)*", each.id), each.id
        assert re.fullmatch(r"T\d{4}(\.\d{3})?", each.technique), each.id
        assert each.title


def test_each_source_brings_each_kind_of_hostile_data() -> None:
    kinds = Counter(each.source for each in CATALOGUE if each.way is Way.EVENT)
    assert set(kinds) == set(SOURCES)
    assert len(set(kinds.values())) == 1


def test_some_are_chosen_by_how_their_ids_begin() -> None:
    assert {each.way for each in chosen(["residue"])} == {Way.RESIDUE}
    assert chosen([]) is CATALOGUE
    assert len(chosen(["event-queue", "error"])) > 8
    with pytest.raises(NotFoundError, match="begins with 'nothing'"):
        chosen(["error", "nothing"])


def test_the_project_has_what_the_attacks_name() -> None:
    manifest = tomllib.loads((PROJECT / "casemate.toml").read_text())
    assert manifest["project"]["name"] == PROJECT_NAME
    assert set(manifest["function"]) == set(FUNCTIONS)
    for function in manifest["function"].values():
        assert (PROJECT / f"{function['handler'].partition(':')[0]}.py").is_file()
    text = {name: (PROJECT / f"{name}.py").read_text() for name in ("careless", "victim", "leaver")}
    assert all(mark in text["careless"] for mark in MARKS if mark.endswith(("text", "table")))
    calls = ATTACKER.read_text()
    for each in CATALOGUE:
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
