"""Playbooks and evidence over HTTP: who has one act needs the right to do the same by hand."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from api_fake_control import Client, Parts
from msgspec.structs import replace

from casemate.api import evidence_sealing as api
from casemate.api.evidence_sealing import Sealing
from casemate.evidence import Evidences, Holds, keeping, opened
from casemate.model.account import PolicyFile
from casemate.model.deployment import Quarantine
from casemate.model.errors import ConflictError, NotFoundError, UnavailableError
from casemate.model.facts import Actor, Fact
from casemate.model.level import Level
from casemate.model.playbook import PlaybookAct, PlaybookRun, Step
from casemate.model.response_facts import (
    EvidenceReleased,
    EvidenceSealed,
    IncidentUpdated,
    PlaybookChanged,
)
from casemate.model.still import require_still
from casemate.operations.findings import Finding
from casemate.operations.incidents import Noticed
from casemate.playbooks import Acting
from casemate.playbooks.matching import PRINCIPAL
from casemate.vault.interface import DataKey
from support.core import MemoryStore
from support.descriptors import descriptors_held, require_none_left
from support.monitor import incident

ADA = Actor("user:ada", "192.0.2.1")
ID = incident().id
TEXT = 'title = "t"\n[when]\nrules = ["blocked-often"]\n[[actions]]\ndo = "quarantine"\n'


def found(id: str = "9f2c51aa03b1e7d4") -> Finding:
    return Finding(
        id=id,
        rule="blocked-often",
        title="t",
        level=Level.HIGH,
        entity="e",
        at=time.time(),
        count=1,
        events=(),
        techniques=(),
        project="shop",
        function="report",
    )


class Functions:
    def __init__(self) -> None:
        self.held: set[str] = set()

    async def function(self, project: str, name: str) -> Any:
        held = f"{project}/{name}" in self.held
        quarantine = SimpleNamespace(by=f"{PRINCIPAL}leaked-secret") if held else None
        return SimpleNamespace(quarantine=quarantine, aliases=())

    async def quarantine(self, operation: Any, *, by: Actor) -> Quarantine:
        require_still()
        self.held.add(f"{operation.project}/{operation.function}")
        return Quarantine(
            project=operation.project,
            function=operation.function,
            reason=operation.reason,
            by=by.principal,
            since=1.0,
        )

    async def release(self, operation: Any, *, by: Actor) -> None:
        require_still()
        self.held.discard(f"{operation.project}/{operation.function}")


class Budgets:
    async def set_quota(self, quota: Any, by: Actor) -> None:
        """Set nothing."""

    async def remove(self, project: str, name: str, by: Actor) -> None:
        """Remove nothing."""


@pytest.fixture
def functions(parts: Parts) -> Functions:
    made = Functions()
    nothing: Any = SimpleNamespace()
    sealing = Sealing(lambda: parts.service)
    acting = Acting(
        made,
        nothing,
        Budgets(),  # type: ignore[arg-type]
        parts.service.restrictions,
        parts.service.rotations,
        sealing,
        parts.service.paging,
    )  # type: ignore[arg-type]
    parts.service.playbooks._performing._acting = acting
    asyncio.run(parts.service.playbooks.load())
    parts.monitor.known = [incident(finding_ids=("9f2c51aa03b1e7d4",))]
    parts.monitor.found = [found()]
    return made


@pytest.fixture
def waiting(parts: Parts, functions: Functions) -> str:
    """A run that waits for a person."""
    noticed = Noticed(index=0, finding=found(), incident=ID, incident_level=Level.HIGH)
    asyncio.run(parts.service.playbooks.consider(noticed))
    [run] = [each for each in parts.service.playbooks.runs if each.playbook == "injection"]
    return run.id


def test_they_are_listed_shown_put_and_removed(ask: Client, parts: Parts, functions: Any) -> None:
    told: list[Fact] = []
    parts.service.facts.listen(PlaybookChanged, told.append)
    listed = ask("GET", "/playbooks").json()
    names = [each["name"] for each in listed["playbooks"]]
    assert "escape-tried" in names and listed["acts"] is True
    assert ask("GET", "/playbooks/escape-tried").json()["shipped"] is True
    assert ask("GET", "/playbooks/none").status_code == 404
    put = ask("PUT", "/playbooks/mine", json={"text": TEXT})
    assert put.status_code == 200 and put.json()["changed_by"]
    assert (put.json()["version"], put.json()["unverified"]) == (1, "")
    assert ask("PUT", "/playbooks/mine", json={"text": TEXT + "\n"}).json()["version"] == 2
    kept = ask("GET", "/playbooks/mine/versions").json()["versions"]
    assert [(one["version"], one["change"], one["signed"]) for one in kept] == [
        (2, "put", True),
        (1, "put", True),
    ]
    first = ask("GET", "/playbooks/mine", params={"version": 1}).json()
    assert (first["text"], first["version"]) == (TEXT, 1)
    assert ask("GET", "/playbooks/mine", params={"version": 9}).status_code == 404
    back = ask("POST", "/playbooks/mine/revert", json={"version": 1}).json()
    assert (back["text"], back["version"]) == (TEXT, 3)
    assert ask("POST", "/playbooks/mine/revert", json={"version": 9}).status_code == 404
    assert ask("GET", "/playbooks/escape-tried/versions").status_code == 404
    broken = ask("PUT", "/playbooks/mine", json={"text": "title = 1"})
    assert broken.status_code in (400, 422) and "mine.toml" in broken.text
    assert ask("DELETE", "/playbooks/mine").status_code == 204
    assert ask("DELETE", "/playbooks/mine").status_code == 404
    assert ask("DELETE", "/playbooks/escape-tried").status_code == 409
    assert [(each.change, each.playbook, each.playbook_version) for each in told] == [  # type: ignore[attr-defined]
        *(("put", "mine", number) for number in (1, 2, 3)),
        ("remove", "mine", 4),
    ]
    pause = {"seconds": 901, "reason": "a drill"}
    assert ask("POST", "/playbook-pauses/shop", json=pause).status_code == 400
    assert ask("POST", "/playbook-pauses/shop", json=pause | {"seconds": 9}).status_code == 204


def test_what_waits_is_approved_and_undone(ask: Client, functions: Functions, waiting: str) -> None:
    runs = ask("GET", "/playbook-runs?state=waits&project=shop").json()["runs"]
    assert waiting in [each["id"] for each in runs] and functions.held == set()
    assert ask("GET", "/playbook-runs?project=other").json()["runs"] == []
    done = ask("POST", f"/playbook-runs/{waiting}/approve")
    assert done.status_code == 200 and functions.held == {"shop/report"}
    assert ask("POST", f"/playbook-runs/{waiting}/approve").status_code == 409
    undone = ask("POST", f"/incidents/{ID}/undo", json={"reason": "r", "action": "quarantine"})
    assert undone.status_code == 200 and functions.held == set()
    other = {"reason": "r", "action": "x"}
    assert ask("POST", f"/incidents/{ID}/undo", json=other).status_code == 409
    assert ask("POST", "/playbook-runs/none/approve").status_code == 404


@pytest.mark.parametrize("way", ["approve", "run"])
def test_rights_that_are_taken_while_the_vault_verifies_a_playbook_count(
    ask: Client,
    parts: Parts,
    functions: Functions,
    waiting: str,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts.accounts.add("cm_olga", "owner")

    async def slow(_book: Any) -> None:
        parts.accounts.add("cm_olga", "viewer")

    monkeypatch.setattr(parts.service.playbooks.books, "require", slow)
    path = f"/playbook-runs/{waiting}/approve" if way == "approve" else "/playbooks/injection/run"
    body = None if way == "approve" else {"incident": ID}
    answer = ask("POST", path, key="cm_olga", json=body)
    assert answer.status_code == 403, answer.text
    assert functions.held == set()


@pytest.mark.parametrize("change", ["put", "revert", "remove"])
def test_rights_that_are_taken_while_a_change_of_playbooks_waits_count(
    ask: Client, parts: Parts, functions: Functions, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change before it waits for the vault, or the monitor is slow to say which rules are."""
    assert ask("PUT", "/playbooks/mine", json={"text": TEXT}).status_code == 200
    before = ask("GET", "/playbooks/mine").json()
    parts.accounts.add("cm_olga", "owner")
    lock = parts.service.playbooks.files._changing
    acquire = lock.acquire

    async def slow() -> bool:
        parts.accounts.add("cm_olga", "viewer")
        return await acquire()

    monkeypatch.setattr(lock, "acquire", slow)
    asked = {
        "put": ("PUT", "/playbooks/mine", {"text": TEXT.replace("high", "low") + "# more"}),
        "revert": ("POST", "/playbooks/mine/revert", {"version": 1}),
        "remove": ("DELETE", "/playbooks/mine", None),
    }
    method, path, body = asked[change]
    assert ask(method, path, key="cm_olga", json=body).status_code == 403
    assert ask("GET", "/playbooks/mine").json() == before


def test_rights_that_are_taken_while_evidence_is_built_count(
    ask: Client, parts: Parts, functions: Functions, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Evidences(tmp_path, MemoryStore(), Vault())  # type: ignore[arg-type]
    object.__setattr__(parts.service, "evidences", kept)
    parts.accounts.add("cm_olga", "owner")
    sealed = api._sealed

    def slow(*given: Any) -> Any:
        parts.accounts.add("cm_olga", "viewer")
        return sealed(*given)

    monkeypatch.setattr(api, "_sealed", slow)
    assert ask("POST", f"/incidents/{ID}/evidence", key="cm_olga").status_code == 403
    assert ask("GET", f"/incidents/{ID}/evidence").json()["evidence"] == []


def test_nobody_gets_more_by_a_playbook_than_by_hand(
    ask: Client, parts: Parts, functions: Functions, waiting: str
) -> None:
    """Who may work on incidents, and not quarantine, approves nothing, runs nothing."""
    text = (
        'forbid (principal, action == Casemate::Action::"function:quarantine", resource)'
        " unless { principal is Casemate::Playbook };"
    )
    file = PolicyFile(name="none", text=text, changed_at=1.0, changed_by="user:ada")
    parts.policy.replace([file])
    assert ask("POST", f"/playbook-runs/{waiting}/approve").status_code == 403
    body = {"incident": ID}
    assert ask("POST", "/playbooks/injection/run", json=body).status_code == 403
    assert functions.held == set()


def test_what_is_done_while_an_incident_is_undone_needs_its_right_too(
    ask: Client, parts: Parts, functions: Functions
) -> None:
    text = 'forbid (principal, action == Casemate::Action::"function:alias", resource);'
    parts.policy.replace([PolicyFile(name="n", text=text, changed_at=1.0, changed_by="user:ada")])
    runs = parts.service.playbooks.runs
    functions.held.add("shop/report")
    held = PlaybookAct(
        do="quarantine", target="function:shop/report", state=Step.DONE, before="null"
    )
    back = replace(held, do="roll-back", before='{"to":1,"targets":[[2,100]]}')
    first, second = (
        PlaybookRun(
            id=f"run_{number}",
            playbook="p",
            digest="",
            finding="f",
            rule="r",
            incident=ID,
            project="shop",
            found_at=1.0,
            at=number,
            state=Step.FAILED,
            acts=(held,),
        )
        for number in (2.0, 1.0)
    )
    asyncio.run(runs.put(first))
    asyncio.run(runs.put(second))
    release = functions.release

    async def meanwhile(operation: Any, *, by: Actor) -> None:
        await release(operation, by=by)
        await runs.put(replace(second, acts=(held, back)))

    functions.release = meanwhile  # type: ignore[method-assign]
    assert ask("POST", f"/incidents/{ID}/undo", json={"reason": "r"}).status_code == 403
    assert [run.acts[0].state for run in runs if run.id == first.id] == [Step.UNDONE]
    assert {act.state for run in runs if run.id == second.id for act in run.acts} == {Step.DONE}


def test_it_is_run_by_hand_and_dry(ask: Client, functions: Functions, parts: Parts) -> None:
    body = {"incident": ID, "dry_run": True}
    dry = ask("POST", "/playbooks/leaked-secret/run", json=body).json()
    assert dry["dry"] and dry["runs"][0]["acts"][0]["target"] == "function:shop/report"
    assert functions.held == set() and list(parts.service.playbooks.runs) == []
    nothing = ask("POST", "/playbooks/stolen-token/run", json=body)
    assert nothing.status_code == 409 and "would do nothing" in nothing.text
    done = ask("POST", "/playbooks/leaked-secret/run", json={"incident": ID})
    assert done.status_code == 200 and functions.held == {"shop/report"}
    again = ask("POST", "/playbooks/leaked-secret/run", json={"incident": ID})
    assert again.status_code == 409
    assert ask("POST", "/playbooks/none/run", json=body).status_code == 404


def test_what_it_is_run_for_is_the_finding_that_it_is_for(ask: Client, parts: Parts) -> None:
    other = replace(found("0" * 16), rule="deployed-at-night", level=Level.LOW)
    graver = replace(found("1" * 16), rule="flood", level=Level.CRITICAL)
    parts.monitor.found = [found(), other, graver]
    parts.monitor.known = [incident(finding_ids=(other.id, found().id, graver.id, other.id))]
    body = {"incident": ID, "dry_run": True}
    [run] = ask("POST", "/playbooks/injection/run", json=body).json()["runs"]
    assert run["finding"] == found().id
    [run] = ask("POST", "/playbooks/escape-tried/run", json=body).json()["runs"]
    assert run["finding"] == graver.id


def test_it_is_dismissed_with_a_reason(ask: Client, functions: Functions, waiting: str) -> None:
    path = f"/playbook-runs/{waiting}/dismiss"
    assert ask("POST", path, json={"reason": ""}).status_code == 400
    assert ask("POST", path, json={"reason": "our scanner"}).json()["state"] == "dismissed"
    assert ask("POST", path, json={"reason": "again"}).status_code == 409
    assert functions.held == set()


class Vault:
    async def data_key(self, *_: Any) -> DataKey:
        return DataKey(version=1, key=b"k" * 32)


def test_evidence_is_on_record_before_it_is_kept(
    ask: Client, parts: Parts, functions: Functions, tmp_path: Any
) -> None:
    told: list[Fact] = []
    for kind in (EvidenceSealed, EvidenceReleased):
        parts.service.facts.listen(kind, told.append)
    kept = Evidences(tmp_path, MemoryStore(), Vault())  # type: ignore[arg-type]
    object.__setattr__(parts.service, "evidences", kept)
    made = ask("POST", f"/incidents/{ID}/evidence")
    assert made.status_code == 201, made.text
    view = made.json()
    assert told[0].sha256 == view["sha256"]  # type: ignore[attr-defined]
    data = ask("GET", f"/evidence/{view['id']}").content
    manifest, files = opened(data)
    assert manifest.incident == ID and {"incident.json", "playbooks.json"} <= set(files)
    # What the fakes cannot tell is named, and nothing of it is an error.
    assert any("functions/shop/report" in each for each in (*manifest.left_out, *files))
    assert [e["id"] for e in ask("GET", f"/incidents/{ID}/evidence").json()["evidence"]] == [
        view["id"]
    ]
    path = f"/evidence/{view['id']}/release"
    assert ask("POST", path, json={"reason": "over"}).status_code == 204
    assert ask("GET", f"/evidence/{view['id']}").status_code == 404
    assert isinstance(told[-1], EvidenceReleased)


def test_evidence_holds_what_the_journal_says_by_each_name_of_an_incident(
    ask: Client, parts: Parts, functions: Functions, waiting: str, tmp_path: Any, monkeypatch: Any
) -> None:
    """What playbooks and people did before an earlier finding came to be known."""
    kept = Evidences(tmp_path, MemoryStore(), Vault())  # type: ignore[arg-type]
    object.__setattr__(parts.service, "evidences", kept)
    asked: list[str] = []
    find = parts.service.recorder.find

    async def noted(query: Any) -> Any:
        asked.extend(query.contains)
        return await find(query)

    monkeypatch.setattr(parts.service.recorder, "find", noted)
    first = "0123456789abcdef"
    earlier = replace(incident(), id="inc_0000000000000001", finding_ids=(first, ID[4:]))
    parts.monitor.known = [earlier]
    assert ask("POST", f"/incidents/{earlier.id}/evidence").status_code == 201
    assert {earlier.id, f"inc_{first}", ID} <= set(asked)


def test_no_evidence_is_built_where_calls_are_answered(
    ask: Client, parts: Parts, functions: Functions, tmp_path: Any, monkeypatch: Any
) -> None:
    """It is as large as tens of megabytes."""
    kept = Evidences(tmp_path, MemoryStore(), Vault())  # type: ignore[arg-type]
    object.__setattr__(parts.service, "evidences", kept)
    on_loop: list[bool] = []
    for module, name in ((api, "build"), (keeping, "_digest"), (keeping, "_some")):
        genuine = getattr(module, name)

        def noted(*given: Any, genuine: Any = genuine) -> Any:
            on_loop.append(asyncio._get_running_loop() is not None)
            return genuine(*given)

        monkeypatch.setattr(module, name, noted)
    id = ask("POST", f"/incidents/{ID}/evidence").json()["id"]
    assert ask("GET", f"/evidence/{id}").status_code == 200
    assert on_loop[:2] == [False, False] and True not in on_loop and len(on_loop) > 3


def test_only_some_fetch_evidence_at_once_and_each_gives_its_place_back(
    ask: Client, parts: Parts, functions: Functions, tmp_path: Any, monkeypatch: Any
) -> None:
    """Also who never reads, and whose fetch cannot be recorded."""
    kept = Evidences(tmp_path, MemoryStore(), Vault())  # type: ignore[arg-type]
    object.__setattr__(parts.service, "evidences", kept)
    id = ask("POST", f"/incidents/{ID}/evidence").json()["id"]
    fetches = parts.service.fetches
    places = fetches.free
    assert ask("GET", f"/evidence/{id}").status_code == 200
    assert fetches.free == places
    fetches.free = 0
    assert ask("GET", f"/evidence/{id}").status_code == 429
    fetches.free = places

    async def cannot() -> None:
        raise UnavailableError("It cannot be recorded.")

    before = descriptors_held()
    with monkeypatch.context() as patched:
        patched.setattr(parts.service.recorder, "durable", cannot)
        assert ask("GET", f"/evidence/{id}").status_code == 503
    assert fetches.free == places
    require_none_left(before)
    next(tmp_path.glob("evi_*")).write_bytes(b"damaged")
    assert ask("GET", f"/evidence/{id}").status_code == 503
    assert fetches.free == places


@pytest.mark.parametrize(
    "action", ["journal:read", "log:read", "invocation:read", "error:read", "denial:read"]
)
def test_evidence_shows_nobody_what_they_could_not_read(
    ask: Client, parts: Parts, functions: Functions, tmp_path: Any, action: str
) -> None:
    kept = Evidences(tmp_path, MemoryStore(), Vault())  # type: ignore[arg-type]
    object.__setattr__(parts.service, "evidences", kept)
    id = ask("POST", f"/incidents/{ID}/evidence").json()["id"]
    text = f'forbid (principal, action == Casemate::Action::"{action}", resource);'
    parts.policy.replace([PolicyFile(name="n", text=text, changed_at=1.0, changed_by="user:ada")])
    assert ask("POST", f"/incidents/{ID}/evidence").status_code == 403
    assert ask("GET", f"/evidence/{id}").status_code == 403


def test_playbooks_seal_an_incident_once_and_do_not_use_up_the_room_of_people(
    ask: Client, parts: Parts, functions: Functions, tmp_path: Any, monkeypatch: Any
) -> None:
    kept = Evidences(tmp_path, MemoryStore(), Vault())  # type: ignore[arg-type]
    object.__setattr__(parts.service, "evidences", kept)
    sealing = Sealing(lambda: parts.service)
    by = Actor("playbook:p", "")
    first = asyncio.run(sealing.seal(ID, by))
    assert asyncio.run(sealing.seal(ID, by)) == first and len(kept.all()) == 1
    monkeypatch.setattr(api, "MAX_BY_PLAYBOOKS", 1)
    with pytest.raises(ConflictError, match="by playbooks"):
        asyncio.run(sealing.seal(ID, Actor("playbook:other", "")))
    assert ask("POST", f"/incidents/{ID}/evidence").status_code == 201
    asyncio.run(sealing.release(first, "r", ADA))
    asyncio.run(sealing.release(first, "r", ADA))  # somebody has
    assert [view.by for view in kept.all()] == ["token:owner"]


def test_what_is_under_hold_is_listed_noted_and_ended(
    ask: Client, parts: Parts, functions: Functions
) -> None:
    told: list[Any] = []
    parts.service.facts.listen(IncidentUpdated, told.append)
    asked: list[Any] = []

    class Records:
        async def hold(self, id: str, functions: Any, **times: float) -> tuple[int, int]:
            asked.append((id, functions))
            return 3, 99

        async def release(self, id: str) -> None:
            asked.append(id)

    object.__setattr__(parts.service, "holds", Holds(MemoryStore(), Records()))  # type: ignore[arg-type]
    path = f"/incidents/{ID}/hold"
    assert ask("POST", path, json={"days": 91, "reason": "r"}).status_code == 400
    assert ask("POST", "/incidents/inc_none/hold", json={"reason": "r"}).status_code == 404
    made = ask("POST", path, json={"days": 60, "reason": "case 17"})
    assert made.status_code == 200, made.text
    view = made.json()
    assert (view["functions"], view["records"], view["by"]) == (["shop/report"], 3, "token:owner")
    assert ask("GET", "/holds").json() == {"holds": [view]}
    assert told[-1].text == "legal hold for 60 days: case 17"
    assert ask("POST", f"{path}/release", json={"reason": "over"}).status_code == 204
    assert ask("POST", f"{path}/release", json={"reason": "over"}).status_code == 404
    assert ask("GET", "/holds").json() == {"holds": []}
    assert told[-1].text == "legal hold ended: over"
    assert asked == [(ID, [("shop", "report")]), ID]


def test_a_hold_is_that_of_its_incident_by_whichever_name(
    ask: Client, parts: Parts, functions: Functions, monkeypatch: Any
) -> None:
    """An incident is named anew when an earlier finding of it comes to be known."""

    class Records:
        async def hold(self, id: str, functions: Any, **times: float) -> tuple[int, int]:
            return 3, 99

        async def release(self, id: str) -> None:
            assert id == ID

    object.__setattr__(parts.service, "holds", Holds(MemoryStore(), Records()))  # type: ignore[arg-type]
    assert ask("POST", f"/incidents/{ID}/hold", json={"reason": "r"}).status_code == 200
    earlier = replace(incident(), id="inc_0000000000000001")

    async def named(id: str) -> Any:
        if id not in (ID, earlier.id):
            raise NotFoundError("There is none.")
        return earlier

    monkeypatch.setattr(parts.service.monitor, "incident", named)
    again = ask("POST", f"/incidents/{earlier.id}/hold", json={"reason": "renewed"})
    assert (again.status_code, again.json()["incident"]) == (200, ID)
    [held] = ask("GET", "/holds").json()["holds"]
    assert held["reason"] == "renewed"
    other = "/incidents/inc_0000000000000002/hold/release"
    assert ask("POST", other, json={"reason": "over"}).status_code == 404
    ended = ask("POST", f"/incidents/{earlier.id}/hold/release", json={"reason": "over"})
    assert ended.status_code == 204, ended.text
    assert ask("GET", "/holds").json() == {"holds": []}


def test_evidence_is_that_of_its_incident_by_whichever_name(
    ask: Client, parts: Parts, functions: Functions, tmp_path: Any, monkeypatch: Any
) -> None:
    """A run that a kill cut short seals again by the name that the incident had when it began."""
    kept = Evidences(tmp_path, MemoryStore(), Vault())  # type: ignore[arg-type]
    object.__setattr__(parts.service, "evidences", kept)
    earlier = replace(incident(), id="inc_0000000000000001", finding_ids=())
    known = {ID: earlier, earlier.id: earlier}

    async def named(id: str) -> Any:
        if id not in known:
            raise NotFoundError("There is none.")
        return known[id]

    monkeypatch.setattr(parts.service.monitor, "incident", named)
    sealing = Sealing(lambda: parts.service)
    by = Actor("playbook:p", "")
    first = asyncio.run(sealing.seal(ID, by))
    assert [view.incident for view in kept.all()] == [earlier.id]
    assert asyncio.run(sealing.seal(ID, by)) == first and len(kept.all()) == 1

    def listed(id: str) -> list[str]:
        return [each["id"] for each in ask("GET", f"/incidents/{id}/evidence").json()["evidence"]]

    assert listed(ID) == listed(earlier.id) == [first]
    assert listed("inc_0000000000000002") == []
    known.clear()  # forgotten, and what is kept of it is still there
    assert listed(earlier.id) == [first]
