"""A flood leaves a few records and one denial with the count; who may not call learns nothing."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from casemate.admission import Closure
from casemate.dispatch.queued import QUEUE_FULL, throttled
from casemate.invocation import LoadRefusals
from casemate.invocation import overload as module
from casemate.invocation.overload import RECORDED
from casemate.model.denial import DenialKind
from casemate.model.deployment import Version
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, RefusedError, Sealed
from casemate.model.principal import ANONYMOUS, Principal, PrincipalKind
from casemate.seal import Seal
from support.core import INVOKER_TOKEN, MemoryStore, PlainPolicy, TwoTokens, raw, request, version

CALLER = Principal(kind=PrincipalKind.TOKEN, id="caller")
CREDENTIAL = f"Bearer {INVOKER_TOKEN}"


class Full:
    """A dispatcher without any room."""

    def __init__(self) -> None:
        self.full = True

    def refusal(self, _version: Version) -> RefusedError | None:
        return throttled(QUEUE_FULL, 100, 1) if self.full else None


class Refusing:
    def __init__(self) -> None:
        self.store, self.full = MemoryStore(), Full()
        self.loop = asyncio.new_event_loop()
        self.refusals = LoadRefusals(
            Seal(self.store),  # type: ignore[arg-type]
            PlainPolicy(),
            self.store.deny,
            self.loop,
        )

    def foreseen(self, of: Version, credential: str | None) -> HttpResponse | None:
        closure = Closure(is_live=True, public=of.spec.public, internal=of.spec.internal)

        def caller() -> Principal | None:
            return ANONYMOUS if credential is None else TwoTokens().authenticate(credential)

        return self.refusals.foreseen(self.full, of, closure, raw, caller)  # type: ignore[arg-type]

    def refuse(self, of: Version, principal: Principal = CALLER) -> Sealed:
        admitted = Admitted(request=request(), version=of, principal=principal)
        return self.refusals.refuse(raw(), request(), admitted, throttled(QUEUE_FULL, 100, 1))

    def close(self) -> None:
        self.refusals.flush()
        self.loop.close()


@pytest.fixture
def refusing() -> Refusing:
    return Refusing()


def test_the_first_have_records_and_the_rest_are_counted(refusing: Refusing) -> None:
    one = version(3)
    ends = [refusing.refuse(one) for _ in range(RECORDED + 500)]
    assert {end.outcome for end in ends} == {Outcome.THROTTLED}
    assert {end.response.status for end in ends} == {429}
    assert all(end.response.paced for end in ends)
    assert len(refusing.store.records) == RECORDED
    assert refusing.store.denied == []
    refusing.refusals.flush()
    [denial] = refusing.store.denied
    assert (denial.kind, denial.count) == (DenialKind.LOAD, 500)
    assert (denial.principal, denial.resource) == (CALLER.text, "function:t/f")
    assert (denial.version, denial.reason) == (3, QUEUE_FULL)
    refusing.close()


def test_what_is_only_counted_names_a_record_that_there_is(refusing: Refusing) -> None:
    ends = [refusing.refuse(version()) for _ in range(RECORDED + 50)]
    kept = {error.id for _, error, _ in refusing.store.records if error is not None}
    assert {msgspec.json.decode(end.response.body)["error_id"] for end in ends} == kept
    assert {end.error_id for end in ends} == kept
    waits = {dict(end.response.headers)[b"retry-after"] for end in ends[RECORDED:]}
    assert len(waits) == 3
    assert all(len(end.response.headers) == len(ends[0].response.headers) for end in ends)
    refusing.close()


def test_each_second_begins_anew(refusing: Refusing) -> None:
    for _ in range(RECORDED + 5):
        refusing.refuse(version())
    refusing.refusals.flush()
    for _ in range(RECORDED):
        refusing.refuse(version())
    refusing.refusals.flush()
    assert len(refusing.store.records) == 2 * RECORDED
    assert [d.count for d in refusing.store.denied] == [5]
    refusing.close()


def test_a_timer_records_what_was_counted(refusing: Refusing) -> None:
    async def main() -> None:
        for _ in range(RECORDED + 5):
            refusing.refuse(version())
        await asyncio.sleep(0.05)

    patched = pytest.MonkeyPatch()
    patched.setattr(module, "WINDOW_SECONDS", 0.01)
    refusing.loop.run_until_complete(main())
    patched.undo()
    assert [d.count for d in refusing.store.denied] == [5]
    refusing.close()


def test_many_functions_and_callers_are_counted_together(
    refusing: Refusing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KINDS", 10)
    for number in range(500):
        refusing.refuse(version(name=f"f{number}"))
    assert len(refusing.store.records) == 10 + RECORDED
    refusing.refusals.flush()
    [denial] = refusing.store.denied
    assert (denial.resource, denial.count) == ("node", 500 - 10 - RECORDED)
    refusing.close()


def test_other_refusals_are_recorded_each(refusing: Refusing) -> None:
    for _ in range(RECORDED + 5):
        refusal = RefusedError(Outcome.INVALID, "The body is not valid JSON.")
        refusing.refusals.refuse(raw(), None, None, refusal)
    assert len(refusing.store.records) == RECORDED + 5
    refusing.close()


@pytest.mark.parametrize(
    ("public", "internal", "credential", "refused"),
    [
        (False, False, CREDENTIAL, True),
        (True, False, None, True),
        (True, False, CREDENTIAL, True),
        (False, False, None, False),
        (False, False, "Bearer wrong", False),
        (True, False, "Bearer wrong", False),
        (False, True, CREDENTIAL, False),
    ],
)
def test_only_who_may_call_is_told_that_there_is_no_room(
    refusing: Refusing, public: bool, internal: bool, credential: str | None, refused: bool
) -> None:
    one = version(public=public, internal=internal)
    answer = refusing.foreseen(one, credential)
    assert (answer is not None) is refused
    assert len(refusing.store.records) == refused
    refusing.full.full = False
    assert refusing.foreseen(one, credential) is None
    refusing.close()


def test_anonymous_callers_are_counted_as_such(refusing: Refusing) -> None:
    for _ in range(RECORDED + 2):
        refusing.foreseen(version(public=True), None)
    refusing.refusals.flush()
    assert [d.principal for d in refusing.store.denied] == [ANONYMOUS.text]
    refusing.close()
