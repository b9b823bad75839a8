"""Files of playbooks: what is broken is refused by name, and what would be a lever is, too."""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path

import pytest

from casemate.detection import shipped_rules
from casemate.model.playbook import Approval, EndSessions, RevokeToken
from casemate.playbooks import PlaybookError, read_playbook
from casemate.playbooks.proven import OWN, PROVEN
from casemate.playbooks.reading import MAX_BYTES, SCHEMA_NAME, schema, schema_text
from casemate.playbooks.shipped import SHIPPED

_ROOT = Path(__file__).parents[3]
SOUND = """
title = "t"
approval = "none"
[when]
rules = ["mount-tried"]
[[actions]]
do = "quarantine"
"""
MONITORS_OWN = {
    "journal-rolled-back",
    "journal-unreadable",
    "monitor-memory-damaged",
    "checkpoint-not-sent",
}


def test_what_comes_with_casemate_is_sound_and_names_rules_that_there_are() -> None:
    told = shipped_rules().told
    known = set(told) | MONITORS_OWN
    for name, text in SHIPPED.items():
        playbook = read_playbook(text.encode(), name)
        assert set(playbook.when.rules) <= known, (name, set(playbook.when.rules) - known)
        assert playbook.description and playbook.enabled
    assert known >= PROVEN | OWN
    alone = {n for n, t in SHIPPED.items() if read_playbook(t.encode(), n).approval == "none"}
    assert alone == {"escape-tried", "decoy-touched", "poisoned-dependency"}


def test_there_is_one_for_each_thing_that_is_promised() -> None:
    assert set(SHIPPED) >= {
        *("stolen-token", "leaked-secret", "poisoned-dependency", "denial-of-wallet"),
        *("escape-tried", "journal-gap"),
        *("insecure-configuration", "excessive-rights", "exceeded-grants", "injection"),
        *("blinded-monitoring", "verbose-errors", "exploited-dependency"),
    }


def test_no_function_is_held_for_what_people_were_refused() -> None:
    """Of a member who looked around, the function that was looked at was to be quarantined."""
    rules = read_playbook(SHIPPED["excessive-rights"].encode(), "p.toml")
    assert {type(action) for action in rules.actions} == {RevokeToken, EndSessions}
    assert "rights-probed" in rules.when.rules


def test_defaults_ask_a_person() -> None:
    playbook = read_playbook(SOUND.replace('approval = "none"', "").encode(), "p.toml")
    assert playbook.approval is Approval.PERSON
    assert (playbook.bounds.targets, playbook.bounds.minutes) == (3, 60)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("title", "titel", "titel"),
        ('"mount-tried"', '"sql-injection"', "sql-injection finds can be caused by others"),
        ('"mount-tried"', '"my-own-rule"', "my-own-rule"),
        ('"mount-tried"', '"playbook-waits"', "would go on for ever"),
        ('"mount-tried"', '"function-quarantined"', "would go on for ever"),
        ('rules = ["mount-tried"]', "", "neither rules nor techniques"),
        ('rules = ["mount-tried"]', 'techniques = ["T1611"]', "has to name its rules"),
        ('"quarantine"', '"delete"', "delete"),
        ('"quarantine"', '"quarantine"\nforce = true', "force"),
        ('"quarantine"', '"limit-calls"\ncalls = 0', ">= 1"),
        ('"quarantine"', '"limit-calls"\ncalls = -1', ">= 1"),
        ('approval = "none"', 'approval = "maybe"', "maybe"),
        ("[when]", "[bounds]\ntargets = 1000\n[when]", "<= 20"),
        ("[when]", "[bounds]\nminutes = 0\n[when]", ">= 1"),
        ('[[actions]]\ndo = "quarantine"', "", "actions"),
        ("[[actions]]", "[[actions]", "p.toml"),
        ("title", "x = " + "[" * 3000 + "\ntitle", "p.toml"),
    ],
)
def test_what_is_broken_is_refused_by_name(old: str, new: str, says: str) -> None:
    with pytest.raises(PlaybookError) as refused:
        read_playbook(SOUND.replace(old, new, 1).encode(), "p.toml")
    assert refused.value.message.startswith("p.toml: ") and says in refused.value.message


def test_size_and_bytes_are_bounded() -> None:
    with pytest.raises(PlaybookError, match="expected at most"):
        read_playbook(SOUND.encode() + b"#" * MAX_BYTES, "p.toml")
    with pytest.raises(PlaybookError, match="not UTF-8"):
        read_playbook(b"\xff", "p.toml")


def test_the_published_schema_is_the_one_in_force() -> None:
    assert (_ROOT / "docs/reference" / SCHEMA_NAME).read_text() == schema_text()
    assert json.loads(schema_text())["$schema"].endswith("2020-12/schema")
    jsonschema = pytest.importorskip("jsonschema_rs")
    check = jsonschema.validator_for(schema())

    for name, text in SHIPPED.items():
        assert check.is_valid(tomllib.loads(text)), name
    assert not check.is_valid(tomllib.loads(SOUND.replace("quarantine", "delete")))
    assert not check.is_valid(tomllib.loads(SOUND.replace("title", "titel")))


@pytest.mark.parametrize(
    "text",
    ["[" + "a." * 29_000 + "b]", "a." * 29_000 + "b = 1", "x = {" + "a." * 29_000 + "b = 1}"],
    ids=["table", "key", "inline"],
)
def test_a_key_of_many_parts_costs_next_to_nothing(text: str) -> None:
    """Before: 1.9 s of the event loop, for 58 KB."""
    began = time.process_time()
    with pytest.raises(PlaybookError, match="line 2 has more than 200 dots"):
        read_playbook(f"\n{text}\n".encode(), "p.toml")
    assert time.process_time() - began < 0.1


def test_a_number_of_too_many_digits_is_no_error_of_the_node() -> None:
    with pytest.raises(PlaybookError, match=r"p\.toml: .*digits"):
        read_playbook(f"a = {'1' * 58_000}".encode(), "p.toml")
