"""What is remembered of what triggers may call is forgotten with every change that decides."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.admission import Catalogue
from casemate.admission import brought as brought_module
from casemate.admission.brought import BroughtEvents
from casemate.model.path import Caller, RawInvocation
from casemate.model.principal import Principal, PrincipalKind, RoleBinding
from support.core import PlainPolicy, deployed, raw, version


def trigger(id: str = "t/f/inbox", **changes: Any) -> Principal:
    return Principal(**{"kind": PrincipalKind.TRIGGER, "id": id, **changes})


def brought(principal: Principal | None = None, **changes: Any) -> RawInvocation:
    return raw(caller=Caller(principal=principal or trigger()), **changes)


class Memory:
    def __init__(self) -> None:
        self.catalogue, self.policy = Catalogue(), PlainPolicy()
        self.catalogue.replace([deployed(version())])
        self.brought = BroughtEvents(self.catalogue, self.policy)
        assert not self.brought.allowed(brought(), version())
        self.brought.note(brought(), version())
        assert self.brought.allowed(brought(), version())


def test_a_change_of_policies_is_asked_about() -> None:
    memory = Memory()
    memory.policy.revision += 1
    assert not memory.brought.allowed(brought(), version())
    memory.policy.revision -= 1
    assert not memory.brought.allowed(brought(), version()), "nor is it found again"


def test_a_change_of_what_is_deployed_is_asked_about() -> None:
    memory = Memory()
    memory.catalogue.replace([deployed(version())])
    assert not memory.brought.allowed(brought(), version())


@pytest.mark.parametrize(
    "changes",
    [
        {"project": "u"},
        {"function": "g"},
        {"qualifier": "1"},
        {"trigger": "queue"},
        {"principal": trigger("t/f/other")},
        {"caller": None},
        {"principal": trigger(bindings=(RoleBinding(role="owner"),))},
        {"principal": trigger(expires_at=9e9)},
    ],
)
def test_all_that_decides_tells_one_from_another(changes: dict[str, Any]) -> None:
    memory = Memory()
    principal = changes.pop("principal", None)
    asked = raw(**changes) if "caller" in changes else brought(principal, **changes)
    assert not memory.brought.allowed(asked, version())


def test_another_version_is_another_question() -> None:
    assert not Memory().brought.allowed(brought(), version(2))


@pytest.mark.parametrize("kind", [k for k in PrincipalKind if k is not PrincipalKind.TRIGGER])
def test_nothing_is_remembered_of_callers(kind: PrincipalKind) -> None:
    memory = Memory()
    caller = brought(Principal(kind=kind, id="t/f/inbox"))
    memory.brought.note(caller, version())
    assert not memory.brought.allowed(caller, version())


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brought_module, "MAX_REMEMBERED", 3)
    memory = Memory()
    for number in range(10):
        memory.brought.note(brought(trigger(f"t/f/{number}")), version())
    assert len(memory.brought._allowed) <= 3
    assert memory.brought.allowed(brought(trigger("t/f/9")), version())
