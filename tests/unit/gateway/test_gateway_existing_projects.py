"""Names of projects that there are not push out nothing: what is denied of them is one share."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from casemate.admission import Admission, Catalogue
from casemate.detection import Rules, rules_of, shipped_rules
from casemate.facts import FactStream
from casemate.gateway.existing_projects import ExistingProjects
from casemate.gateway.known_projects import KnownProjects
from casemate.model.denial import Denial, DenialKind, denied_at, denied_on
from casemate.model.facts import Actor, Fact, FunctionPlace, InvocationEnded
from casemate.model.invocation import Outcome
from casemate.model.path import Failure, Finished, RefusedError
from casemate.model.principal import Resource, ResourceKind
from casemate.model.route import RouteClaim
from casemate.monitor.consumers import Happened
from casemate.monitor.detecting import Detection
from casemate.monitor.findings import MAX_OF_RULE, Findings, Found
from casemate.recorder import ocsf
from casemate.recorder.folding import MAX_DIFFERENT, Folding
from casemate.seal import Redactor, Seal
from support.core import MemoryStore, PlainPolicy, TwoTokens, deployed, request, version

RULE = b"""
title: A call without a token
id: 0c4b5d06-9a0f-4ac7-8d3f-1a2b3c4d5e6f
name: knocked
status: test
logsource: {product: casemate}
detection:
  selection:
    metadata.event_code: Denial
    unmapped.kind: authentication
  condition: selection
fields:
  - resources.0.name
level: high
"""
NOW = 1_772_409_600.0
EVE = Actor("user:eve", "192.0.2.7")


class Vault:
    """What is asked of one: `shop-secrets` had a secret at the start, `new-secrets` has one now."""

    async def secrets(self, _project: str | None) -> tuple[Any, ...]:
        return (SimpleNamespace(project="shop-secrets"),)

    def known_secrets(self, project: str) -> bool | None:
        return True if project == "new-secrets" else None


class World:
    """A stream of facts that is told by what there is, and what was heard of it."""

    def __init__(self) -> None:
        self.facts, self.heard = FactStream(), list[Any]()
        self.catalogue, self.data = Catalogue(), KnownProjects(MemoryStore())  # type: ignore[arg-type]
        claim = RouteClaim(project="claimed", prefixes=("/claimed",))
        self.catalogue.replace([deployed(version(project="shop", name="orders"))], (claim,))
        accounts: Any = SimpleNamespace(is_bound=lambda project: project == "bound")
        allowance: Any = SimpleNamespace(ledgers={"budgeted": {}}, rates={"limited": {}})
        vault: Any = Vault()
        self.projects = ExistingProjects(self.catalogue, self.data, accounts, allowance, vault)
        asyncio.run(self.projects.load())
        self.projects.listen(self.facts)
        self.facts.listen(Denial, self.heard.append)
        self.admission = Admission(self.catalogue, TwoTokens(), PlainPolicy(), self.facts.happened)

    def knock(self, project: str, function: str = "f") -> Any:
        """Call a function without a token; return what is told."""
        with pytest.raises(RefusedError):
            self.admission.admit(
                request(project=project, function=function, remote_address="192.0.2.9")
            )
        return self.heard.pop()

    def told(self, fact: Fact) -> Any:
        self.facts.happened(fact)
        return self.heard.pop()


def findings_of(told: list[Fact], rules: Rules) -> tuple[Findings, list[Found]]:
    """Return what the monitor finds in these, and keeps."""
    found, findings = list[Found](), Findings()
    detection = Detection(rules, findings)
    detection.tell = found.append
    for n, each in enumerate(told):
        event = msgspec.json.decode(ocsf.event(each, 1, f"boot-{n}"))
        detection.take([Happened(n, f"boot-{n}", type(each).__name__, NOW + n, event)])
    return findings, found


def test_made_up_names_of_projects_push_out_no_finding() -> None:
    world = World()
    told = [world.knock("shop", "orders"), *(world.knock(f"made-up-{n}") for n in range(700))]
    findings, found = findings_of(told, rules_of((RULE, "own.yml")))
    assert len(found) == 701 and findings.dropped == 701 - MAX_OF_RULE
    victim = found[0]
    assert victim.project == "shop" and findings.get(victim.id) == victim
    # The text goes on naming what was asked for, and rules that count names go on doing so.
    assert {each.project for each in found[1:]} == {""}
    assert "made-up-699/f" in found[-1].entity
    assert told[-1].resource == "function:made-up-699/f"
    _, found = findings_of(told[1:20], shipped_rules())
    assert "functions-knocked-at" in {each.rule for each in found}


@pytest.mark.parametrize(
    "project",
    ["shop", "claimed", "shop-secrets", "new-secrets", "budgeted", "limited", "bound", "kept"],
)
def test_a_denial_of_a_project_that_exists_carries_it(project: str) -> None:
    world = World()
    assert world.knock("kept").project == ""
    asyncio.run(world.data.add("kept"))
    told = world.knock(project)
    assert (told.project, told.function) == (project, "f")


def test_what_an_operation_is_denied_on_is_counted_alike() -> None:
    world = World()
    for project, carried in (("shop", "shop"), ("made-up", "")):
        denied = denied_on(
            Resource(kind=ResourceKind.PROJECT, project=project),
            at=NOW,
            kind=DenialKind.AUTHORIZATION,
            by=EVE,
            action="secret:list",
            reason="no policy allows it",
        )
        told = world.told(denied)
        assert (told.project, told.resource) == (carried, f"project:{project}")


@pytest.mark.parametrize(
    "kind",
    [DenialKind.SIGNATURE, DenialKind.ADVISORIES, DenialKind.LICENCE, DenialKind.GRANTS],
)
def test_a_first_deploy_that_is_refused_carries_its_project(kind: DenialKind) -> None:
    denied = denied_at(
        FunctionPlace("coming", "f", 0, invocation=""),
        at=NOW,
        kind=kind,
        by=EVE,
        action="function:deploy",
        reason="refused",
    )
    assert World().told(denied) == denied


def test_made_up_names_leave_room_among_what_is_folded() -> None:
    world, folding = World(), Folding()
    for n in range(MAX_DIFFERENT):
        folding.passes(world.knock(f"made-up-{n}"))
    assert folding.passes(world.knock("shop", "orders"))


def test_calls_that_lead_nowhere_are_records_of_the_node() -> None:
    """Each made-up name had a share of the room for records, for which those of others went."""
    world, store, ended = World(), MemoryStore(), list[InvocationEnded]()
    vault: Any = SimpleNamespace(known_secrets=lambda _project: False)
    world.facts.listen(InvocationEnded, ended.append)
    seal = Seal(Redactor(store, vault, world.facts), exists=world.projects.has)
    for project in ("made-up", "shop"):
        asked = request(project=project, function="f")
        failure = Failure(type="Refused", message="no token")
        seal.close(Finished(outcome=Outcome.DENIED, request=asked, status=401, failure=failure))
    (nowhere, error, _), (record, known, _) = store.records
    assert error is not None and known is not None
    assert (nowhere.project, nowhere.function) == (error.project, error.function) == ("", "")
    assert error.message == "made-up/f: no token"
    assert (record.project, record.function, known.message) == ("shop", "f", "no token")
    assert [(one.project, one.function) for one in ended] == [("", ""), ("shop", "f")]
