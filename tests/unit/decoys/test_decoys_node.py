"""The decoys of a node over its life: starts, rotations, exceptions, damaged and missing keys."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from casemate.decoys import Decoys
from casemate.decoys.settings import MAX_GENERATIONS
from casemate.facts import FactStream
from casemate.model.decoy import DecoyKind
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.facts import Actor, DecoyTouched, RiskAccepted
from casemate.operations.items import GetItem, QueryItems
from casemate.vault.interface import DataKey, Purpose
from support.accounts import Clock, MemoryStore

ADA = Actor("user:ada", "192.0.2.7")
T = TypeVar("T")


class Keys:
    """The part of a vault that makes data keys."""

    def __init__(self, *projects: str) -> None:
        self.versions = dict.fromkeys(projects, 1)
        self.fault: CasemateError | None = None

    async def data_key(self, project: str, purpose: Purpose, version: int | None = None) -> DataKey:
        assert purpose is Purpose.DECOYS
        if self.fault is not None:
            raise self.fault
        if version is None:
            version = self.versions.setdefault(project, 1)
        if version > self.versions.get(project, 0):
            raise NotFoundError("no such key")
        return DataKey(version=version, key=f"{project} {version}".encode().ljust(32))


class Node:
    """A gateway's decoys, and what they are kept and made by."""

    def __init__(self, *projects: str) -> None:
        self.keys = Keys(*projects)
        self.store = MemoryStore(Clock())
        self.told: list[Any] = []
        self.decoys = self.start()

    def start(self) -> Decoys:
        facts = FactStream()
        facts.listen(DecoyTouched, self.told.append)
        facts.listen(RiskAccepted, self.told.append)
        self.decoys = Decoys(self.store, self.keys, facts)  # type: ignore[arg-type]
        return self.decoys

    def touched(self, token: str) -> list[str]:
        """Return which decoys a token is."""

        async def run() -> None:
            self.decoys.watch.on_credential(f"Bearer {token}", "", "route")
            self.decoys.watch.flush()

        self.told.clear()
        run_now(run())
        return [each.decoy for each in self.told]

    def token(self, project: str = "shop") -> str:
        return run_now(self.decoys.variables(project)).get("CASEMATE_BACKUP_TOKEN", "")


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


@pytest.fixture
def node() -> Node:
    made = Node("shop", "mail")
    run_now(made.decoys.load(["shop", "mail"]))
    return made


def test_all_are_on_in_every_project(node: Node) -> None:
    states = node.decoys.states(None)
    assert [(s.project, s.kind) for s in states] == [
        (project, kind) for project in ("mail", "shop") for kind in DecoyKind
    ]
    assert all(state.on and state.generation == 1 for state in states)
    assert len({state.place for state in states}) == len(states)


def test_values_are_not_listed(node: Node) -> None:
    assert node.token()[-40:] not in str(node.decoys.states(None))


def test_a_new_project_gets_its_own_key_first() -> None:
    node = Node()
    run_now(node.decoys.load([]))
    run_now(node.decoys.ensure("new"))
    assert node.keys.versions == {"new": 1}
    assert len(node.decoys.states("new")) == len(DecoyKind)


def test_a_project_that_there_is_not_is_not_found(node: Node) -> None:
    with pytest.raises(NotFoundError):
        node.decoys.states("ghost")
    with pytest.raises(NotFoundError):
        run_now(node.decoys.rotate("ghost"))
    with pytest.raises(NotFoundError):
        run_now(node.decoys.set("ghost", DecoyKind.ROW, "a reason", ADA))
    assert "ghost" not in node.keys.versions, "nothing was made for it"


def test_what_was_stolen_before_a_restart_is_known_after_it(node: Node) -> None:
    stolen = node.token()
    run_now(node.start().load(["shop"]))
    assert node.touched(stolen) == ["shop/token/1"]


def test_a_rotation_of_the_projects_key_changes_no_decoy(node: Node) -> None:
    before = node.token()
    node.keys.versions["shop"] = 2
    run_now(node.start().load(["shop"]))
    assert node.token() == before


def test_rotated_decoys_are_new_ones_and_outlive_a_restart(node: Node) -> None:
    first = node.token()
    run_now(node.decoys.rotate("shop"))
    second = node.token()
    assert first != second
    run_now(node.start().load([]))
    assert node.token() == second
    assert node.touched(first) == ["shop/token/1"]
    assert node.touched(second) == ["shop/token/2"]


def test_generations_that_are_watched_for_are_bounded(node: Node) -> None:
    tokens = [node.token()]
    for _ in range(MAX_GENERATIONS):
        run_now(node.decoys.rotate("shop"))
        tokens.append(node.token())
    assert node.touched(tokens[0]) == []
    assert node.touched(tokens[1]) == ["shop/token/2"]


def test_one_that_is_off_says_why_and_is_an_accepted_risk(node: Node) -> None:
    stolen = node.token()
    state = run_now(node.decoys.set("shop", DecoyKind.TOKEN, "a scanner of ours", ADA))
    assert (state.on, state.reason, state.by) == (False, "a scanner of ours", "user:ada")
    [risk] = node.told
    assert (risk.by, risk.remote_address, risk.project) == (*ADA, "shop")
    assert "token" in risk.risk and "a scanner of ours" in risk.risk
    assert node.touched(stolen) == [] and node.token() == ""
    run_now(node.start().load([]))
    assert node.touched(stolen) == [], "also after a restart"
    assert run_now(node.decoys.set("shop", DecoyKind.TOKEN, None, ADA)).on
    assert node.touched(stolen) == ["shop/token/1"]


def test_nothing_changes_where_it_cannot_be_kept(node: Node) -> None:
    before = node.token()
    node.store.fault = CasemateError("the disk is full")
    with pytest.raises(CasemateError):
        run_now(node.decoys.rotate("shop"))
    with pytest.raises(CasemateError):
        run_now(node.decoys.set("shop", DecoyKind.TOKEN, "a reason", ADA))
    assert node.token() == before and node.touched(before) == ["shop/token/1"]


def test_a_vault_that_cannot_be_asked_ends_a_start() -> None:
    node = Node("shop")
    node.keys.fault = CasemateError("the vault is gone")
    with pytest.raises(CasemateError):
        run_now(node.decoys.load(["shop"]))


def test_the_row_is_found_by_who_asks_its_table_and_by_no_other(node: Node) -> None:
    table = next(s.place for s in node.decoys.states("shop") if s.kind is DecoyKind.ROW)
    page = node.decoys.page(QueryItems(project="shop", table=table))
    assert page is not None and page.after is None
    [row] = page.items
    assert row.revision == 1 and row.value["role"] == "owner"
    assert node.decoys.item(GetItem(project="shop", table=table, key=row.value["id"])) == row
    assert node.decoys.item(GetItem(project="shop", table=table, key="x")) is None
    assert node.decoys.item(GetItem(project="mail", table=table, key=row.value["id"])) is None
    assert node.decoys.page(QueryItems(project="shop", table="orders")) is None
    other = node.decoys.page(QueryItems(project="shop", table=table, key="x"))
    assert other is not None and other.items == ()
    run_now(node.decoys.set("shop", DecoyKind.ROW, "a reason", ADA))
    assert node.decoys.page(QueryItems(project="shop", table=table)) is None


def test_settings_of_many_projects_are_kept(node: Node) -> None:
    projects = [f"p{number}" for number in range(200)]
    run_now(node.decoys.ensure_all(projects))
    for project in projects[::10]:
        run_now(node.decoys.rotate(project))
    before = node.decoys.states(None)
    run_now(node.start().load([*projects, "shop", "mail"]))
    assert node.decoys.states(None) == before
