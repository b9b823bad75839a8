"""Stage 2 holds every event to the contract that it is under, before anything is placed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from casemate.admission import Admission, Catalogue
from casemate.admission.contract import Contracts, contract_text
from casemate.contracts import Contract
from casemate.decoding import MAX_DIGITS
from casemate.model.denial import Denial, DenialKind
from casemate.model.event import Event
from casemate.model.function import HttpTrigger
from casemate.model.invocation import Outcome
from casemate.model.path import Caller, RefusedError, Request
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.trigger import QueueTrigger, TriggerKind
from support.core import INVOKER_TOKEN, PlainPolicy, TwoTokens, deployed, raw, spec, version

SMALL = json.dumps({"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}})
STRICT = json.dumps({"type": "object", "required": ["n"], "additionalProperties": False,
                     "properties": {"n": {}}})  # fmt: skip
MARK = "swordfish-4711"


class Gate:
    """An admission over one function; what it denies is kept."""

    def __init__(self, **changes: Any) -> None:
        self.denied: list[Denial] = []
        self.catalogue = Catalogue()
        self.catalogue.replace([deployed(version(number=3, **changes))])
        self.admission = Admission(self.catalogue, TwoTokens(), PlainPolicy(), self.denied.append)

    def admit(self, event: bytes = b"{}", **changes: Any) -> None:
        given = raw(
            **{"function": "f", "credential": f"Bearer {INVOKER_TOKEN}", "body": event, **changes}
        )
        self.admission.admit(Request(id="inv_1", raw=given, event=event))

    def refusal(self, event: bytes = b"{}", **changes: Any) -> str:
        self.denied.clear()
        with pytest.raises(RefusedError) as caught:
            self.admit(event, **changes)
        assert caught.value.outcome is Outcome.INVALID
        (denial,) = self.denied
        assert denial.kind is DenialKind.CONTRACT
        assert denial.principal == "token:invoker" or denial.principal.startswith("trigger:")
        assert (denial.function, denial.version, denial.invocation) == ("f", 3, "inv_1")
        assert MARK not in caught.value.message + denial.reason
        return caught.value.message


# -- direct calls ----------------------------------------------------------------------------------


def test_a_direct_call() -> None:
    gate = Gate(contract=SMALL)
    gate.admit(b'{"n":9}')
    assert gate.denied == []
    assert gate.refusal(b'{"n":10}') == "The event breaks its contract: /n: maximum."
    assert gate.denied[0].reason == "invoke: /n: maximum"
    assert gate.refusal(b"[]").endswith("/: type.")
    assert gate.refusal(json.dumps({"n": MARK}).encode()).endswith("/n: type.")


def test_all_that_is_broken_is_answered_and_the_first_is_recorded() -> None:
    gate = Gate(contract=STRICT)
    assert gate.refusal(b'{"m":1}') == (
        "The event breaks its contract: /: additionalProperties; /n: required."
    )
    assert gate.denied[0].reason == "invoke: /: additionalProperties"


def test_names_that_the_contract_does_not_have_are_not_told() -> None:
    gate = Gate(contract='{"additionalProperties":{"type":"integer"}}')
    assert gate.refusal(json.dumps({MARK: "x"}).encode()).endswith("/*: type.")


def test_a_number_of_many_digits_breaks_every_contract() -> None:
    """The bound on the time of a check is by values: their digits it does not know."""
    for text in ("", json.dumps({})):
        gate = Gate(contract=text)
        assert "long-number" in gate.refusal(b'{"n": %s}' % (b"9" * (MAX_DIGITS + 1)))
        gate.refusal(b"[" + b",".join([b"9" * 4200] * 100) + b"]")
    gate.admit(b'{"n": %s}' % (b"9" * MAX_DIGITS))


def test_without_a_contract_default_limits_hold() -> None:
    gate = Gate()
    gate.admit(b'{"n":10}')
    message = gate.refusal(json.dumps({MARK: "x" * 300_000}).encode())
    assert message == (
        "The event exceeds what is accepted without a contract: /*: default limit on string, "
        "at most 262,144 characters; a contract of the function may allow more."
    )


def test_whoever_may_not_call_learns_nothing_of_a_contract() -> None:
    gate = Gate(contract=SMALL)
    with pytest.raises(RefusedError) as caught:
        gate.admit(b'{"n":10}', credential=None)
    assert caught.value.outcome is Outcome.DENIED
    assert [denial.kind for denial in gate.denied] == [DenialKind.AUTHENTICATION]


# -- routes ----------------------------------------------------------------------------------------


def http(gate: Gate, body: bytes, content_type: str = "application/json", **rest: Any) -> None:
    event: dict[str, object] = {
        "method": rest.pop("method", "POST"),
        "path": "/n",
        "route": "/n",
        "headers": {"content-type": content_type} if content_type else {},
        "body": body.decode("latin-1") or None,
    }
    given = raw(
        function="f",
        credential=f"Bearer {INVOKER_TOKEN}",
        body=body,
        trigger="http",
        event=event,
        **rest,
    )
    gate.admission.admit(Request(id="inv_1", raw=given, event=b"{}"))


def refused(gate: Gate, *args: Any, **rest: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        http(gate, *args, **rest)
    assert caught.value.outcome is Outcome.INVALID
    return caught.value.message


def test_a_route_has_its_own_contract() -> None:
    routes = (HttpTrigger(method="POST", path="/n", contract=SMALL),)
    gate = Gate(http=routes, contract=STRICT)
    http(gate, b'{"n":1,"more":2}')
    assert refused(gate, b'{"n":10}').endswith("/n: maximum.")
    assert refused(gate, b"{").endswith("/: json.")
    assert refused(gate, b"{}", "text/plain").endswith(
        "/: content-type, which is not application/json."
    )
    assert refused(gate, b"").endswith("/: type.")
    assert refused(gate, b"", "").endswith("/: type.")
    http(gate, b"{}", "application/vnd.x+json; charset=utf-8")


def test_a_route_for_every_method() -> None:
    gate = Gate(http=(HttpTrigger(method="*", path="/n", contract=SMALL),))
    assert refused(gate, b'{"n":10}', method="PUT").endswith("/n: maximum.")


def test_a_route_without_a_contract_takes_bodies_that_are_no_json() -> None:
    gate = Gate(http=(HttpTrigger(method="POST", path="/n"),), contract=STRICT)
    http(gate, b"\xff" * 400_000, "image/png")
    http(gate, b'{"other":1}')
    assert "default limit on string" in refused(gate, b'"' + b"x" * 300_000 + b'"')


# -- triggers --------------------------------------------------------------------------------------

CALLER = Caller(principal=Principal(kind=PrincipalKind.TRIGGER, id="t/f/queue-1"))


def event(data: object, kind: TriggerKind = TriggerKind.QUEUE, **rest: Any) -> Event:
    given = {"id": "e", "source": "/s", "type": "t", "time": 1.0, "trigger": "queue-1", **rest}
    return Event(kind=kind, data=msgspec.Raw(msgspec.json.encode(data)), **given)


def test_each_event_of_a_batch_is_held_to_the_triggers_contract() -> None:
    contracts = Contracts()
    spec = {"triggers": (QueueTrigger(name="queue-1", queue="jobs", contract=SMALL),)}
    one = version(contract=STRICT, **spec)
    contracts.replace([one])

    def judge(*events: Event) -> str:
        given = raw(function="f", trigger="queue", events=events, caller=CALLER)
        return str(contracts.violation(one, Request(id="i", raw=given, event=b"")) or "")

    assert judge(event({"n": 1}), event({"n": 2})) == ""
    assert judge(event({"n": 1}), event({"n": 99})) == "/n: maximum"
    # What comes by no trigger that is declared is judged as a direct call is.
    assert judge(event({"x": 1}, trigger="other")) == "/: additionalProperties"
    assert judge(event({"x": 1}, kind=TriggerKind.INVOKE, trigger="")) == "/: additionalProperties"


def test_kept_requests_are_judged_as_requests() -> None:
    contracts = Contracts()
    one = version(http=(HttpTrigger(method="POST", path="/n", contract=SMALL),))
    contracts.replace([one])

    def judge(**detail: Any) -> str:
        known = {"method": "POST", "route": "/n", "headers": {"content-type": "application/json"}}
        told = event(None, kind=TriggerKind.HTTP, trigger="", detail={**known, **detail})
        given = raw(function="f", trigger="http", events=(told,), caller=CALLER)
        return str(contracts.violation(one, Request(id="i", raw=given, event=b"")) or "")

    assert judge(body='{"n":1}') == ""
    assert judge(body='{"n":10}') == "/n: maximum"
    assert judge(body=None) == "/: type"
    assert judge(body="x", cloudevent={}) == "/: type"  # whose data is null


# -- compiling -------------------------------------------------------------------------------------


def check(contracts: Contracts, one: Any, data: bytes) -> str:
    given = raw(function="f", body=data)
    return str(contracts.violation(one, Request(id="i", raw=given, event=data)) or "")


def test_texts_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(text: str) -> Contract:
        made.append(text)
        return Contract(text)

    monkeypatch.setattr("casemate.admission.contract.Contract", counted)
    contracts = Contracts()
    old, new = version(1, contract=SMALL), version(2, contract=STRICT, digest="b" * 64)
    contracts.replace([old])
    contracts.replace([old, new])
    contracts.replace([old, new])
    assert made == [SMALL, STRICT]
    assert check(contracts, old, b'{"n":10}') == "/n: maximum"
    assert check(contracts, new, b"{}") == "/n: required"
    assert made == [SMALL, STRICT]


def test_a_version_that_is_not_known_lets_nothing_through() -> None:
    assert check(Contracts(), version(), b"{}") == "/: contract"


def test_a_contract_that_does_not_hold_lets_nothing_through() -> None:
    contracts = Contracts()
    for text in ("{", '{"$ref":"http://127.0.0.1:1/x"}', '{"type":"x"}'):
        one = version(contract=text)
        contracts.replace([one])
        assert check(contracts, one, b"{}") == "/: contract"


def test_data_that_is_no_json_is_no_reason_to_let_it_through() -> None:
    contracts = Contracts()
    one = version(contract="true")
    contracts.replace([one])
    for data in (b"{", b"\xff", b"[" * 100_000):
        assert check(contracts, one, data) == "/: json"


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
def test_a_kept_request_is_looked_at_by_the_contract_of_its_route(method: str) -> None:
    """As it was when it was kept; by that of direct calls it was refused when it ran."""
    declared = HttpTrigger(method="GET" if method == "HEAD" else method, path="/n", contract=SMALL)
    found = spec("f", http=(declared,), contract=STRICT)
    sent: dict[str, object] = {"method": method, "route": "/n", "headers": {}, "body": ""}
    came = raw(trigger="http", event=sent)
    kept = Event(id="e", source="/s", type="t", time=1.0, kind=TriggerKind.HTTP, detail=sent)
    assert contract_text(found, came) == SMALL.encode()
    assert contract_text(found, raw(trigger="http", events=(kept,))) == SMALL.encode()
    direct = msgspec.structs.replace(kept, kind=TriggerKind.INVOKE, detail={})
    assert contract_text(found, raw(events=(direct,))) == STRICT.encode()
