"""Each alternative of a shipped rule has an attack that it alone finds, or a twin that it alone
leaves out: a rule without it does not tell the examples apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from casemate.detection import attacks_of, examples, over, reading, shipped_texts, twins_of
from casemate.detection.documents import Map, read_documents
from casemate.detection.rules import Rules
from casemate.drills.recorded import events_of
from casemate.model.denial import Denial, DenialKind
from casemate.model.facts import PeoplePaged
from casemate.model.response_facts import IncidentActed
from casemate.operations.catalogue import FORMS
from casemate.recorder import ocsf

READERS: dict[str, Callable[[Map], reading.Read]] = {
    "detection": reading._rule,
    "correlation": reading._correlation,
}
DOCUMENTS = {
    document["name"]: (document, kind)
    for data, name in shipped_texts()
    for document in read_documents(data, name)
    for kind in READERS.keys() & document.keys()
}
READ = {name: READERS[kind](document) for name, (document, kind) in DOCUMENTS.items()}
_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
Change = tuple[str, dict[str, Any], str, Any]
"""What is left out; the map, the key and the value that it then has."""


def expressions_without(key: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield what an expression is without each of the texts that one place of it may be."""
    if "re" in key.split("|")[1:]:
        for found in _CHOICE.finditer(text):
            each = found[1].split("|")
            for one in each:
                left = "|".join(other for other in each if other != one)
                yield one, f"{text[: found.start(1)]}{left}{text[found.end(1) :]}"


def alternatives(inside: dict[str, Any]) -> Iterator[Change]:
    """Yield each alternative in selections, with what the selections are without it."""
    for key, value in inside.items():
        if key == "condition":
            parts = value.split(" or ")
            for part in parts if len(parts) > 1 else ():
                left = " or ".join(other for other in parts if other != part)
                yield f"or {part}", inside, key, left
            continue
        if isinstance(value, list):
            for number, one in enumerate(value):
                if len(value) > 1:
                    yield f"{key}: {one}", inside, key, value[:number] + value[number + 1 :]
                if isinstance(one, dict):
                    yield from alternatives(one)
                else:
                    for what, text in expressions_without(key, str(one)):
                        rest = [*value[:number], text, *value[number + 1 :]]
                        yield f"{key}: {what}", inside, key, rest
        elif isinstance(value, dict):
            yield from alternatives(value)
        elif isinstance(value, str):
            for what, text in expressions_without(key, value):
                yield f"{key}: {what}", inside, key, text


@cache
def users(name: str) -> frozenset[str]:
    """Return the rules with examples that a rule is part of, itself among them."""
    found = {name} & examples().keys()
    for other, (document, kind) in DOCUMENTS.items():
        if kind == "correlation" and name in document[kind]["rules"]:
            found |= users(other)
    return frozenset(found)


def parts(name: str) -> set[str]:
    """Return the rules that a rule is made of, itself among them."""
    document, kind = DOCUMENTS[name]
    below = document[kind]["rules"] if kind == "correlation" else ()
    return {name}.union(*map(parts, below))


@cache
def events(name: str) -> tuple[list[list[dict[str, Any]]], list[list[dict[str, Any]]]]:
    """Return the attacks and the twins of a rule."""
    example = examples()[name]
    return (
        [list(events_of(each)) for each in attacks_of(example)],
        [list(events_of(each)) for each in twins_of(example)],
    )


def tells_apart(name: str, changed: str = "", instead: reading.Read | None = None) -> bool:
    """Tell whether a rule finds all of its attacks and none of its twins."""
    read = [instead if instead and each == changed else READ[each] for each in parts(name)]
    rules = Rules(read).only(name)
    attacks, twins = events(name)
    return all(over(each, rules) for each in attacks) and not any(
        over(each, rules) for each in twins
    )


@pytest.mark.parametrize("name", sorted(examples()))
def test_each_attack_is_found_and_no_twin(name: str) -> None:
    assert tells_apart(name)
    attacks, twins = events(name)
    for some in (attacks, twins):
        assert all(one not in some[:place] for place, one in enumerate(some)), "one of them twice"


RULES = sorted(name for name, (_, kind) in DOCUMENTS.items() if kind == "detection")


def test_there_are_alternatives() -> None:
    assert sum(len(list(alternatives(DOCUMENTS[name][0]["detection"]))) for name in RULES) > 350


@pytest.mark.parametrize("name", RULES)
def test_each_alternative_counts(name: str) -> None:
    document, kind = DOCUMENTS[name]
    needless = []
    for what, inside, key, left in list(alternatives(document[kind])):
        before, inside[key] = inside[key], left
        try:
            without = READERS[kind](document)
        finally:
            inside[key] = before
        if all(tells_apart(each, name, without) for each in users(name)):
            needless.append(what)
    assert not needless, "no attack or twin is told by this"


def test_other_calls_are_those_that_no_rule_names() -> None:
    """Before, a call could be named there and have no rule of its own: nobody was told of it."""
    own = {
        action
        for name in examples()
        if name != "system-call-denied" and DOCUMENTS[name][1] == "detection"
        for selection in DOCUMENTS[name][0]["detection"].values()
        if isinstance(selection, dict) and selection.get("unmapped.kind") == "system-call"
        for value in [selection.get("unmapped.action", [])]
        for action in (value if isinstance(value, list) else [value])
    }
    ended = "system call"  # by the filter: `ended-by-filter` finds it by the reason
    named = DOCUMENTS["system-call-denied"][0]["detection"]["named"]["unmapped.action"]
    assert set(named) == own | {ended}


def values(inside: Any, path: str) -> Iterator[str]:
    """Yield what a field is compared with in selections."""
    for each in inside if isinstance(inside, list) else [inside]:
        if isinstance(each, dict):
            for key, value in each.items():
                if key.partition("|")[0] == path:
                    yield from map(str, value if isinstance(value, list) else [value])
                else:
                    yield from values(value, path)


def named_by_rules(path: str) -> set[str]:
    """Return what a field is compared with in any rule."""
    return {value for name in RULES for value in values(DOCUMENTS[name][0]["detection"], path)}


def test_operations_of_rules_are_those_of_a_node() -> None:
    assert named_by_rules("unmapped.operation") <= {form.id for form in FORMS}


def test_whatever_is_refused_has_a_rule() -> None:
    kinds = {"vault", "advisories", "licence"}  # the findings of the audits tell of these
    assert named_by_rules("unmapped.kind") >= {kind.value for kind in DenialKind} - kinds


def test_whatever_is_grave_has_a_rule() -> None:
    """Before, nobody was told when the state that nodes share was written by none of them."""
    acts = {PeoplePaged, IncidentActed}  # what was done about a finding
    grave = {
        kind.__name__
        for kind in (*ocsf.KINDS, *ocsf.OWN_KINDS)
        if kind is not Denial
        and kind not in acts
        and (ocsf._MAPPED.get(kind) or ocsf._OWN[kind]).severity >= ocsf.Severity.HIGH
    }
    assert len(grave) > 10
    assert grave <= named_by_rules("metadata.event_code")
