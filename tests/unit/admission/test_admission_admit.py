"""The decision: deny unless allowed, and tell nothing to whoever is not allowed."""

from __future__ import annotations

import itertools
import time
from typing import Any

import msgspec
import pytest

from casemate.admission import Admission, Catalogue
from casemate.model.denial import DenialKind
from casemate.model.deployment import Quarantine
from casemate.model.event import Event
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Caller, Finished, Flow, RefusedError
from casemate.model.principal import (
    ANONYMOUS,
    INVOKER,
    Action,
    Checked,
    Decision,
    Principal,
    PrincipalKind,
    ResourceKind,
    RoleBinding,
)
from casemate.model.trigger import QueueTrigger, TriggerKind
from casemate.policy import CedarPolicy
from casemate.seal import Seal
from support.core import (
    INVOKER_TOKEN,
    OWNER_TOKEN,
    MemoryStore,
    PlainPolicy,
    TwoTokens,
    deployed,
    request,
    version,
)

NO_ROLE_TOKEN, REVOKED_TOKEN = "no-role-token", "revoked-token"
CREDENTIALS = {
    "none": None,
    "empty": "",
    "invoker": f"Bearer {INVOKER_TOKEN}",
    "owner": f"Bearer {OWNER_TOKEN}",
    "no role": f"Bearer {NO_ROLE_TOKEN}",
    "revoked": f"Bearer {REVOKED_TOKEN}",
    "another scheme": f"Basic {OWNER_TOKEN}",
}
KNOWN = {"invoker": "token:invoker", "owner": "token:owner", "no role": "token:guest"}
FUNCTIONS = {
    "private": ("t", "private", None),
    "public": ("t", "public", None),
    "internal": ("t", "internal", None),
    "unknown": ("t", "nothing", None),
    "unknown project": ("nothing", "private", None),
    "unknown version": ("t", "private", "99"),
    "unknown alias of a public one": ("t", "public", "nothing"),
}
ADMITTED = {
    ("invoker", "private"),
    ("owner", "private"),
    ("invoker", "public"),
    ("owner", "public"),
    ("none", "public"),
}
UNKNOWN = {name for name in FUNCTIONS if name.startswith("unknown")}
FUNCTION = Principal(kind=PrincipalKind.FUNCTION, id="t/caller")
FLOW = Flow(root="inv_root", chain=("t/caller",), deadline=1e10)


class Gate:
    """An admission over a policy in a few lines; what it denies is kept."""

    def __init__(self) -> None:
        self.store, self.policy, self.accounts = MemoryStore(), PlainPolicy(), TwoTokens()
        self.accounts.known[f"Bearer {NO_ROLE_TOKEN}"] = Principal(
            kind=PrincipalKind.TOKEN, id="guest"
        )
        self.catalogue = Catalogue()
        self.catalogue.replace(
            [
                deployed(version(1, name="private")),
                deployed(version(1, name="public", public=True)),
                deployed(version(1, name="internal", internal=True)),
            ]
        )
        self.admission = Admission(self.catalogue, self.accounts, self.policy, self.store.deny)

    def ask(self, credential: str, function: str, **changes: Any) -> Admitted:
        project, name, qualifier = FUNCTIONS[function]
        return self.admission.admit(
            request(
                project=project,
                function=name,
                qualifier=qualifier,
                credential=CREDENTIALS[credential],
                remote_address="192.0.2.9",
                **changes,
            )
        )

    def call(self, function: str) -> Admitted:
        """Ask as a function that another one's grant led to."""
        return self.ask("none", function, caller=Caller(principal=FUNCTION, flow=FLOW))


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.mark.parametrize(
    ("credential", "function"), list(itertools.product(CREDENTIALS, FUNCTIONS))
)
def test_denied_unless_allowed(gate: Gate, credential: str, function: str) -> None:
    if (credential, function) in ADMITTED:
        admitted = gate.ask(credential, function)
        assert admitted.principal.text == KNOWN.get(credential, "anonymous:public")
        assert (admitted.version.function, admitted.version.number) == (function, 1)
        assert gate.store.denied == []
        return
    with pytest.raises(RefusedError) as refused:
        gate.ask(credential, function)
    if credential in ("invoker", "owner") and function in UNKNOWN:
        assert (refused.value.outcome, gate.store.denied) == (Outcome.NOT_FOUND, [])
        return
    assert refused.value.outcome is Outcome.DENIED
    assert refused.value.status == (403 if credential in KNOWN else None)  # None: 401


@pytest.mark.parametrize("credential", list(CREDENTIALS))
def test_a_denial_is_recorded_with_who_asked_from_where(gate: Gate, credential: str) -> None:
    before = time.time()
    with pytest.raises(RefusedError):
        gate.ask(credential, "internal")
    [denial] = gate.store.denied
    kind = DenialKind.AUTHORIZATION if credential in KNOWN else DenialKind.AUTHENTICATION
    assert denial.kind is kind
    assert denial.principal == KNOWN.get(credential, "anonymous:public")
    assert (denial.action, denial.resource) == ("function:invoke", "function:t/internal")
    assert (denial.project, denial.function) == ("t", "internal")
    assert (denial.invocation, denial.remote_address) == ("inv_test", "192.0.2.9")
    assert before <= denial.at <= time.time() and denial.reason
    for text in (OWNER_TOKEN, INVOKER_TOKEN, REVOKED_TOKEN, NO_ROLE_TOKEN):
        assert text not in str(denial)


def sealed(gate: Gate, credential: str, function: str) -> tuple[object, ...]:
    with pytest.raises(RefusedError) as refused:
        gate.ask(credential, function)
    answer = Seal(MemoryStore()).close(  # type: ignore[arg-type]
        Finished(
            outcome=refused.value.outcome,
            request=request(),
            detail=refused.value.message,
            status=refused.value.status,
        )
    )
    assert isinstance(answer.body, bytes)
    body = msgspec.json.decode(answer.body)
    assert len(body.pop("error_id")) == len("err_") + 24
    return answer.status, answer.headers, body


@pytest.mark.parametrize(
    ("credential", "status"),
    [("none", 401), ("empty", 401), ("revoked", 401), ("another scheme", 401), ("no role", 403)],
)
def test_for_who_is_not_allowed_what_exists_looks_like_what_does_not(
    gate: Gate, credential: str, status: int
) -> None:
    private = sealed(gate, credential, "private")
    assert private[0] == status
    for function in FUNCTIONS:
        if (credential, function) not in ADMITTED:
            assert sealed(gate, credential, function) == private


def test_the_policy_is_asked_before_it_is_told_what_exists(gate: Gate) -> None:
    for function in sorted(UNKNOWN):
        with pytest.raises(RefusedError):
            gate.ask("owner", function)
        principal, action, resource, granted = gate.policy.asked[-1]
        assert (principal.text, action, granted) == ("token:owner", Action.FUNCTION_INVOKE, False)
        project, name, _ = FUNCTIONS[function]
        assert (resource.kind, resource.project, resource.name) == (
            ResourceKind.FUNCTION,
            project,
            name,
        )
        assert not resource.public and not resource.internal
    assert len(gate.policy.asked) == len(UNKNOWN)


def test_a_function_that_was_closed_is_closed_by_every_name(gate: Gate) -> None:
    first, second = version(1, public=True), version(2, internal=True)
    gate.catalogue.replace([deployed(first, second, live={2: 100}, old={1: 100})])
    admit = gate.admission.admit
    for qualifier in (None, "live", "2", "old", "1"):
        with pytest.raises(RefusedError):
            admit(request(qualifier=qualifier))
        with pytest.raises(RefusedError):
            admit(request(qualifier=qualifier, credential=f"Bearer {OWNER_TOKEN}"))
        assert gate.policy.asked[-1][2].internal


def test_an_old_version_needs_a_right_of_its_own_and_no_caller_is_without_a_token(
    gate: Gate,
) -> None:
    first, second = version(1, public=True), version(2, public=True)
    gate.catalogue.replace([deployed(first, second, live={2: 100}, old={1: 100})])
    invoker, owner = f"Bearer {INVOKER_TOKEN}", f"Bearer {OWNER_TOKEN}"
    admit = gate.admission.admit
    assert admit(request(qualifier="2")).version.number == 2
    assert admit(request(qualifier="1", credential=owner)).version.number == 1
    assert admit(request(qualifier="old", credential=invoker)).version.number == 1
    for qualifier, credential in (("1", None), ("old", None), ("1", invoker)):
        with pytest.raises(RefusedError):
            admit(request(qualifier=qualifier, credential=credential))
    assert gate.store.denied[-1].action == "function:invoke-version"


def test_while_versions_share_the_calls_the_one_that_closes_counts(gate: Gate) -> None:
    first, second = version(1, public=True), version(2)
    gate.catalogue.replace([deployed(first, second, live={1: 99, 2: 1})])
    with pytest.raises(RefusedError):
        gate.admission.admit(request())


def test_a_call_that_has_waited_is_decided_by_what_is_in_force_then(gate: Gate) -> None:
    by_anybody, by_token = gate.ask("none", "public"), gate.ask("invoker", "private")
    by_function = gate.call("internal")
    for each in (by_anybody, by_token, by_function):
        gate.admission.require_still(each)
    internal = deployed(version(1, name="internal", internal=True))
    gate.catalogue.replace(
        [deployed(version(2, name="public")), deployed(version(1, name="private")), internal]
    )
    with pytest.raises(RefusedError) as refused:
        gate.admission.require_still(by_anybody)
    assert refused.value.outcome is Outcome.DENIED
    gate.admission.require_still(by_token)
    gate.accounts.known.clear()
    with pytest.raises(RefusedError):
        gate.admission.require_still(by_token)
    assert len(gate.store.denied) == 2
    gate.admission.require_still(by_function)
    gate.policy.forbidden.add((Action.FUNCTION_INVOKE, "function:t/internal"))
    with pytest.raises(RefusedError) as refused:
        gate.admission.require_still(by_function)
    assert (refused.value.outcome, refused.value.status) == (Outcome.DENIED, 403)
    gate.policy.forbidden.clear()
    gate.catalogue.replace([])
    with pytest.raises(RefusedError) as refused:
        gate.admission.require_still(by_function)
    assert refused.value.outcome is Outcome.NOT_FOUND


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [(PrincipalKind.FUNCTION, Outcome.DENIED), (PrincipalKind.TRIGGER, Outcome.UNAVAILABLE)],
)
def test_whoever_brings_what_has_waited_is_asked_again(
    gate: Gate, kind: PrincipalKind, outcome: Outcome
) -> None:
    called = gate.call("internal")
    raw = msgspec.structs.replace(called.request.raw, still=lambda: False)
    waited = msgspec.structs.replace(
        called,
        request=msgspec.structs.replace(called.request, raw=raw),
        principal=Principal(kind=kind, id="t/caller"),
    )
    with pytest.raises(RefusedError) as refused:
        gate.admission.require_still(waited)
    assert refused.value.outcome is outcome


def test_an_event_that_has_waited_is_not_run_without_its_trigger(gate: Gate) -> None:
    caller = Caller(principal=Principal(kind=PrincipalKind.TRIGGER, id="t/private/jobs"))
    jobs = QueueTrigger(name="jobs", queue="jobs")
    old, new = version(1, name="private", triggers=(jobs,)), version(2, name="private")
    gate.catalogue.replace([deployed(old)])
    waits = gate.ask("none", "private", caller=caller, trigger="queue")
    gate.catalogue.replace([deployed(old, new, live={1: 1, 2: 99})])
    for _ in range(20):
        gate.admission.require_still(waits)  # it goes to the one that it was admitted for
    gate.catalogue.replace([deployed(old, new)])
    with pytest.raises(RefusedError) as refused:
        gate.admission.require_still(waits)
    assert refused.value.message == "The live version no longer declares the trigger jobs."


def test_a_forbidding_policy_wins_over_a_role(gate: Gate) -> None:
    gate.policy.forbidden.add((Action.FUNCTION_INVOKE, "function:t/private"))
    with pytest.raises(RefusedError) as refused:
        gate.ask("owner", "private")
    assert (refused.value.status, refused.value.principal) == (
        403,
        gate.accounts.known[f"Bearer {OWNER_TOKEN}"],
    )


# -- from function to function -------------------------------------------------------------------


def test_a_function_reaches_what_it_is_granted_internal_or_not(gate: Gate) -> None:
    for function in ("private", "public", "internal"):
        admitted = gate.call(function)
        assert admitted.principal is FUNCTION and admitted.flow is FLOW
        principal, _, resource, granted = gate.policy.asked[-1]
        assert (principal, granted) == (FUNCTION, True)
        assert resource.internal is (function == "internal")


def test_nobody_but_a_function_reaches_an_internal_one(gate: Gate) -> None:
    for credential in CREDENTIALS:
        with pytest.raises(RefusedError) as refused:
            gate.ask(credential, "internal")
        assert refused.value.outcome is Outcome.DENIED


def test_a_function_s_call_takes_no_credential_for_it(gate: Gate) -> None:
    """Whatever stands in the request beside the caller neither helps nor hurts."""
    caller = Caller(principal=FUNCTION, flow=FLOW)
    for credential in CREDENTIALS:
        assert gate.ask(credential, "private", caller=caller).principal is FUNCTION


def test_a_policy_can_forbid_a_call_that_is_granted(gate: Gate) -> None:
    gate.policy.forbidden.add((Action.FUNCTION_INVOKE, "function:t/internal"))
    with pytest.raises(RefusedError):
        gate.call("internal")
    [denial] = gate.store.denied
    assert (denial.kind, denial.principal) == (DenialKind.AUTHORIZATION, "function:t/caller")


def test_a_function_that_is_gone_is_not_found(gate: Gate) -> None:
    with pytest.raises(RefusedError) as refused:
        gate.call("unknown")
    assert refused.value.outcome is Outcome.NOT_FOUND


# -- faults --------------------------------------------------------------------------------------


def test_a_failing_look_up_admits_nobody(gate: Gate) -> None:
    class Broken:
        def authenticate(
            self, authorization: str | None, checked: Checked | None = None
        ) -> Principal | None:
            raise OSError("the disk is gone")

    admission = Admission(gate.catalogue, Broken(), gate.policy, gate.store.deny)
    with pytest.raises(OSError, match="disk"):
        admission.admit(request(function="public", credential="Bearer x"))


def test_a_failing_policy_admits_nobody(gate: Gate) -> None:
    class Broken(PlainPolicy):
        def decide(self, *_: Any, **__: Any) -> Decision:
            raise RuntimeError("bug")

    admission = Admission(gate.catalogue, gate.accounts, Broken(), gate.store.deny)
    for function in ("public", "private", "nothing"):
        with pytest.raises(RuntimeError, match="bug"):
            admission.admit(request(function=function, credential=CREDENTIALS["owner"]))


def test_a_failing_record_admits_nobody(gate: Gate) -> None:
    def broken(_: object) -> None:
        raise OSError("disk full")

    admission = Admission(gate.catalogue, gate.accounts, gate.policy, broken)
    with pytest.raises(OSError, match="full"):
        admission.admit(request(function="private"))


def test_equal_bindings_are_no_short_cut(gate: Gate) -> None:
    """A principal that calls itself public is still one with a token, not the anonymous one."""
    gate.accounts.known["Bearer odd"] = Principal(
        kind=PrincipalKind.TOKEN, id=ANONYMOUS.id, bindings=(RoleBinding(role=INVOKER),)
    )
    admitted = gate.admission.admit(request(function="private", credential="Bearer odd"))
    assert admitted.principal.text == "token:public"


def test_an_event_that_is_hostile_in_itself_is_refused_and_on_record(gate: Gate) -> None:
    hostile = msgspec.structs.replace(request(function="public"), event=b'{"__proto__": {"a": 1}}')
    with pytest.raises(RefusedError, match="prototype") as refused:
        gate.admission.admit(hostile)
    assert refused.value.outcome is Outcome.INVALID
    [denial] = gate.store.denied
    assert (denial.kind, denial.function) == (DenialKind.INJECTION, "public")


def test_an_event_of_who_is_not_allowed_is_not_looked_at(gate: Gate) -> None:
    hostile = msgspec.structs.replace(request(function="private"), event=b'{"__proto__": 1}')
    with pytest.raises(RefusedError) as refused:
        gate.admission.admit(hostile)
    assert refused.value.outcome is Outcome.DENIED
    assert all(denial.kind is not DenialKind.INJECTION for denial in gate.store.denied)


def test_an_event_that_only_looks_suspicious_is_admitted(gate: Gate) -> None:
    event = b'{"text": "<script>{{7*7}}</script>"}'
    gate.admission.admit(msgspec.structs.replace(request(function="public"), event=event))
    assert gate.store.denied == []


@pytest.mark.parametrize("trigger", ["gone", "queue-1"])
def test_an_event_of_a_trigger_that_was_removed_is_told_so(trigger: str) -> None:
    """What a deploy left waiting is not blamed on a token that nobody showed."""
    catalogue = Catalogue()
    jobs = QueueTrigger(name="queue-1", queue="jobs")
    catalogue.replace([deployed(version(number=3, triggers=(jobs,)))])
    admission = Admission(catalogue, TwoTokens(), CedarPolicy(), lambda _: None)
    caller = Caller(principal=Principal(kind=PrincipalKind.TRIGGER, id=f"t/f/{trigger}"))
    event = Event(
        kind=TriggerKind.QUEUE,
        data=msgspec.Raw(b"{}"),
        id="e",
        source="/s",
        type="t",
        time=1.0,
        trigger=trigger,
    )
    asked = request(function="f", trigger="queue", events=(event,), caller=caller)
    if trigger == "queue-1":
        assert admission.admit(asked)
        return
    with pytest.raises(RefusedError) as caught:
        admission.admit(asked)
    assert caught.value.outcome is Outcome.DENIED
    assert caught.value.message == "The live version no longer declares the trigger gone."


def test_an_event_kept_for_a_version_that_was_removed_is_told_so(gate: Gate) -> None:
    trigger = Principal(kind=PrincipalKind.TRIGGER, id="t/public/inbox")
    with pytest.raises(RefusedError, match="was removed") as refused:
        gate.admission.admit(
            request(function="public", qualifier="9", caller=Caller(principal=trigger))
        )
    assert refused.value.outcome is Outcome.NOT_FOUND


# -- quarantine ----------------------------------------------------------------------------------


def test_quarantine_tells_only_those_who_may_call_and_not_why(gate: Gate) -> None:
    held = Quarantine(project="t", function="private", reason="secret", by="node", since=1.0)
    before = {case: refusal_text(gate, *case) for case in itertools.product(CREDENTIALS, FUNCTIONS)}
    functions = [deployed(version(1, name=name)) for name in ("private",)]
    functions[0] = msgspec.structs.replace(functions[0], quarantine=held)
    gate.catalogue.replace(
        [
            *functions,
            deployed(version(1, name="public", public=True)),
            deployed(version(1, name="internal", internal=True)),
        ]
    )
    for case, text in before.items():
        now = refusal_text(gate, *case)
        if case in (("invoker", "private"), ("owner", "private")):
            assert now == (Outcome.UNAVAILABLE, "The function takes no calls at present.")
        else:
            assert now == text
    assert gate.call("private")  # which is not placed: see the dispatcher


def refusal_text(gate: Gate, credential: str, function: str) -> tuple[Outcome, str] | None:
    try:
        gate.ask(credential, function)
    except RefusedError as refused:
        return refused.outcome, refused.message
    return None


def test_no_call_is_taken_from_a_blocked_address_whatever_it_shows(gate: Gate) -> None:
    """Nor is a credential from there looked at: nothing is learned of it."""
    asked: list[tuple[str, str]] = []

    def blocks(project: str, address: str) -> bool:
        asked.append((project, address))
        return True

    class Unasked:
        def authenticate(self, *_: Any) -> Any:
            raise AssertionError("a credential is looked at")

        check = authenticate

    gate.admission = Admission(gate.catalogue, Unasked(), gate.policy, gate.store.deny, blocks)
    for credential, function in (("owner", "private"), ("none", "public"), ("owner", "unknown")):
        if function not in FUNCTIONS:
            continue
        with pytest.raises(RefusedError) as refused:
            gate.ask(credential, function)
        assert (refused.value.outcome, refused.value.status) == (Outcome.DENIED, 403)
        assert "address" not in refused.value.message
    assert set(asked) == {("t", "192.0.2.9")}
    assert gate.store.denied[0].reason == "no call is taken from this address"
    # What the host itself brings has no address, and a function's call is its project's own.
    assert gate.call("internal").version.function == "internal"
