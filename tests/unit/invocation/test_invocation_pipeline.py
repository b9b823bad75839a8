"""The path: whatever a stage does, the answer leaves through the seal, and no stage is skipped."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from casemate.admission import Admission, Catalogue
from casemate.baselines import Baselines
from casemate.budgets import Allowance
from casemate.budgets.ledger import Ledger
from casemate.capabilities import Broker, Operations, UseCounter
from casemate.data.errors import DataCorruptError, DataKeyError, DataLockedError, DataMediumError
from casemate.dispatch import Dispatcher
from casemate.facts import FactStream
from casemate.invocation import LoadRefusals, Pipeline
from casemate.invocation.unfinished import failure_of
from casemate.model.budget import Budget, BudgetPer, BudgetUnit
from casemate.model.function import FunctionSpec, Limits
from casemate.model.grant import Grant, GrantKind
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import (
    Admitted,
    Caller,
    Failure,
    Finished,
    Flow,
    Placed,
    RawInvocation,
    RefusedError,
    Request,
    Sealed,
)
from casemate.model.principal import ANONYMOUS, Action, Principal, PrincipalKind
from casemate.model.tracing import text_of
from casemate.operations.messages import SendMessage, Sent
from casemate.runner import wire
from casemate.runner.channel import UnavailableError
from casemate.runner.failures import describe
from casemate.runner.trace import of as trace_of
from casemate.sandbox.frames import Reply
from casemate.seal import Redactor, Seal
from casemate.store.errors import StoreMediumError
from support.core import (
    INVOKER_TOKEN,
    InstancePeer,
    MemoryStore,
    PlainPolicy,
    TwoTokens,
    deployed,
    raw,
    request,
    version,
)
from support.facts import stream

CREDENTIAL = f"Bearer {INVOKER_TOKEN}"
MARK = "s3cr3t"
SECRET = Grant(kind=GrantKind.SECRET, name="stripe", actions=("read",))
QUEUE = Grant(kind=GrantKind.QUEUE, name="jobs", actions=("send",))
FUNCTION = Principal(kind=PrincipalKind.FUNCTION, id="t/caller")


class Vault:
    """Has one secret, MARK, in project t; delivers and redacts it."""

    def __init__(self) -> None:
        self.redacted: list[tuple[bytes, ...]] = []
        self.fault: Exception | None = None

    async def deliver_secret(
        self, project: str, name: str, version: int | None, descriptor: int
    ) -> dict[str, str]:
        os.write(descriptor, MARK.encode())
        return {"name": name}

    def known_secrets(self, project: str) -> bool | None:
        return False  # records are for test_seal_redaction; here it is answers that count

    async def redact(self, project: str, texts: Sequence[bytes]) -> tuple[bytes, ...]:
        self.redacted.append(tuple(texts))
        if self.fault is not None:
            raise self.fault
        return tuple(text.replace(MARK.encode(), b"[redacted:stripe]") for text in texts)


class Data:
    """Takes messages, and does not come back while it is held."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.held: asyncio.Event | None = None
        self.cancelled = 0
        self.fault: Exception | None = None

    async def change(self, operation: SendMessage) -> Sent:
        if self.fault is not None:
            raise self.fault
        if self.held is not None:
            try:
                await self.held.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        self.sent.append(operation.content)
        return Sent(id="msg_1")


class OneInstance:
    """A dispatcher with one instance, or with a fault."""

    def __init__(self, peer: InstancePeer | None, fault: BaseException | None = None) -> None:
        self.peer = peer
        self.fault = fault
        self.placed: list[Placed] = []
        self.released: list[Placed] = []

    async def place(self, admitted: Admitted) -> Placed:
        if self.fault is not None:
            raise self.fault
        assert self.peer is not None
        placed = Placed(admitted=admitted, instance=self.peer.instance, queued=0.125, cold=True)
        self.placed.append(placed)
        return placed

    def release(self, placed: Placed) -> None:
        self.released.append(placed)


class Path:
    """A pipeline whose parts are real but for the dispatcher."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        fault: BaseException | None = None,
        grants: tuple[Grant, ...] = (),
        flow: Flow | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.store, self.vault, self.data = MemoryStore(), Vault(), Data()
        self.peer = InstancePeer(self.loop, reuse=True)
        self.dispatcher = OneInstance(self.peer, fault)
        self.policy = PlainPolicy()
        catalogue = Catalogue()
        catalogue.replace([deployed(version(3, limits=limits or Limits(), grants=grants))])
        self.accounts = TwoTokens()
        self.admission = Admission(catalogue, self.accounts, self.policy, self.store.deny)
        self.uses = UseCounter(self.store)
        facts = stream(self.store.deny, self.uses)
        self.broker = Broker(
            policy=self.policy,
            deployed=catalogue,
            operations=Operations(self.data, self.vault, "https://node.test"),
            facts=facts,
            baselines=Baselines(self.store, facts),
            keep=self._keep,
        )
        seal = Seal(Redactor(self.store, self.vault, FactStream()))
        self.trouble = ""
        self.allowance = Allowance(facts.happened, lambda caller: caller)
        self.offered: list[tuple[Finished, Sealed]] = []
        self.pipeline = Pipeline(
            self.admission,
            self.dispatcher,
            self.broker,
            seal,
            LoadRefusals(seal, self.policy, self.store.deny, self.loop),
            self.allowance,
            lambda: self.trouble,
            lambda *ended: self.offered.append(ended),
        )
        self.caller = Caller(principal=FUNCTION, flow=flow) if flow is not None else None

    @staticmethod
    async def _keep(_raw: RawInvocation) -> HttpResponse:
        raise AssertionError("nothing here runs later")

    def invoke(self, **changes: Any) -> asyncio.Task[HttpResponse]:
        given = {"credential": CREDENTIAL, "caller": self.caller, **changes}
        return self.loop.create_task(self.pipeline.invoke(raw(**given)))

    async def refused(self, **changes: Any) -> tuple[int, Outcome]:
        """Invoke; return status and outcome of a sealed refusal, recorded once."""
        answer = await self.invoke(**changes)
        body = msgspec.json.decode(answer.body)
        assert set(body) - {"detail"} == {"type", "title", "status", "error_id"}
        [(record, error, _)] = self.store.records
        assert error is not None and error.id == body["error_id"] == record.error_id
        assert record.status == answer.status == body["status"]
        assert MARK.encode() not in answer.body
        return answer.status, record.outcome

    async def ask(self, op: str, body: bytes = b"", **fields: Any) -> dict[str, Any]:
        """Make a capability request as the function would; return the reply's head."""
        head = json.dumps({"n": 1, "op": op, **fields}).encode()
        await self.peer.send(wire.pack(wire.CAPABILITY, head, body))
        reply, _ = await self.peer.event()
        decoded: dict[str, Any] = json.loads(reply)
        return decoded

    async def answer(self, body: bytes = b"1", head: bytes = b"{}") -> None:
        await self.peer.send(wire.pack(wire.ANSWER, head, body))

    def close(self) -> None:
        self.uses.close()
        self.peer.close()


def on_loop(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await asyncio.wait_for(scenario(), 10)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("identity", "attempt", "is_told"),
    [
        ("inv_01a21a5c499d6d1728d66ddc", 1, False),
        ("inv_01a21a5c499d6d1728d66ddc", 2, True),
        ("an-id-of-others", 1, True),
    ],
)
def test_an_instance_is_told_of_a_trace_that_does_not_follow_from_the_id(
    identity: str, attempt: int, is_told: bool
) -> None:
    async def scenario() -> None:
        path = Path()
        task = path.invoke(id=identity, attempt=attempt)
        head, _ = await path.peer.event()
        sent = json.loads(head)
        assert ("trace" in sent) is is_told
        assert trace_of(sent).traceparent == text_of(identity, None, attempt)
        await path.answer()
        assert (await task).status == 200
        path.close()

    on_loop(scenario)


def test_an_event_goes_in_and_the_answer_comes_out() -> None:
    async def scenario() -> None:
        path = Path(limits=Limits(timeout=9.0))
        before = msgspec.json.decode(msgspec.json.encode(0.0))
        task = path.invoke(body=b'{"a":1}')
        head, event = await path.peer.event()
        sent = json.loads(head)
        assert event == b'{"a":1}'
        assert path.peer.instance.serving == sent["id"]
        # The first of a function is one that tells what the guard took of it.
        assert set(sent) == {*("id", "deadline", "http", "version", "shape", "at"), "guard_sampled"}
        # Where it stands in a trace follows from its id, for its instance as well.
        assert trace_of(sent).traceparent == text_of(sent["id"], None)
        assert sent["shape"] == ""
        assert (sent["http"], sent["version"]) == (False, "3")
        assert sent["deadline"] > before
        path.peer.instance.output.add(0.0, "stdout", b"hello\n")  # type: ignore[union-attr]
        await path.peer.send(wire.pack(wire.ANSWER, b"{}", b'"done"'))
        answer = await task
        assert (answer.status, answer.body) == (200, b'"done"')
        [(record, error, lines)] = path.store.records
        assert error is None
        assert (record.id, record.outcome, record.version) == (sent["id"], Outcome.OK, 3)
        assert (record.queued_ms, record.cold) == (125.0, True)
        assert [line.text for line in lines] == ["hello"]
        assert path.dispatcher.released == path.dispatcher.placed != []
        path.peer.close()

    on_loop(scenario)


def test_a_call_that_counts_for_a_budget_is_noted_before_it_runs() -> None:
    """Or nobody would know of it, were this process killed while it runs."""

    async def scenario() -> None:
        path = Path(limits=Limits(timeout=9.0, memory=1 << 20))
        for counts in (False, True):
            if counts:
                budget = Budget(
                    project="t",
                    name="b",
                    amount=5.0,
                    unit=BudgetUnit.REQUESTS,
                    per=BudgetPer.DAY,
                    hard=True,
                )
                path.allowance.put(Ledger(budget, time.time()))
            task = path.invoke(body=b"{}")
            head, _ = await path.peer.event()
            assert len(path.store.begun) == counts
            await path.answer()
            assert (await task).status == 200
        [(record, seconds)] = path.store.begun
        ended, _, _ = path.store.records[-1]
        assert record.id == ended.id == json.loads(head)["id"]
        assert (record.outcome, record.caller, record.memory) == (
            Outcome.CRASHED, ended.caller, 1 << 20
        )  # fmt: skip
        assert seconds == 9.0 and record.request_bytes == 2 and record.started_at
        path.peer.close()

    on_loop(scenario)


def test_an_http_event_is_marked_as_such() -> None:
    async def scenario() -> None:
        path = Path()
        task = path.invoke(event={"method": "GET"}, trigger="http")
        head, event = await path.peer.event()
        assert json.loads(head)["http"] is True
        assert json.loads(head)["shape"] == "http"
        assert json.loads(event) == {
            "method": "GET",
            "id": json.loads(head)["id"],
            "source": "/projects/t/functions/f",
            "type": "casemate.http.request",
            "time": 5.0,
        }
        await path.peer.send(wire.pack(wire.ANSWER, b"{}", b"1"))
        assert (await task).status == 200
        path.peer.close()

    on_loop(scenario)


@pytest.mark.parametrize(
    ("changes", "status", "outcome"),
    [
        ({"body": b"{s3cr3t"}, 400, Outcome.INVALID),
        ({"content_type": "text/plain"}, 415, Outcome.INVALID),
        ({"credential": None}, 401, Outcome.DENIED),
        ({"credential": "Bearer s3cr3t"}, 401, Outcome.DENIED),
        ({"function": "s3cr3t"}, 404, Outcome.NOT_FOUND),
        ({"function": "s3cr3t", "credential": None}, 401, Outcome.DENIED),
        ({"credential": "Bearer s3cr3t", "function": "s3cr3t"}, 401, Outcome.DENIED),
        ({"event": {"a": object()}}, 500, Outcome.INTERNAL_ERROR),
    ],
)
def test_a_refusal_of_the_first_stages(
    changes: dict[str, Any], status: int, outcome: Outcome
) -> None:
    async def scenario() -> None:
        path = Path()
        assert await path.refused(**changes) == (status, outcome)
        assert path.dispatcher.placed == []
        path.peer.close()

    on_loop(scenario)


@pytest.mark.parametrize(
    ("fault", "status", "outcome"),
    [
        (RefusedError(Outcome.THROTTLED, "Full.", retry_after=3), 429, Outcome.THROTTLED),
        (RefusedError(Outcome.UNAVAILABLE, "No."), 503, Outcome.UNAVAILABLE),
        (
            RefusedError(
                Outcome.INIT_ERROR, "No.", failure=Failure(type="E", message=MARK, trace=MARK)
            ),
            500,
            Outcome.INIT_ERROR,
        ),
        (RuntimeError(MARK), 500, Outcome.INTERNAL_ERROR),
        (OSError(24, MARK), 500, Outcome.INTERNAL_ERROR),
        (MemoryError(), 500, Outcome.INTERNAL_ERROR),
        (DataCorruptError(MARK), 500, Outcome.INTERNAL_ERROR),
        # Before: 500, though the next call may go well.
        (StoreMediumError(MARK), 503, Outcome.UNAVAILABLE),
        (DataLockedError(MARK), 503, Outcome.UNAVAILABLE),
    ],
)
def test_a_fault_of_dispatch(fault: Exception, status: int, outcome: Outcome) -> None:
    async def scenario() -> None:
        path = Path(fault=fault)
        assert await path.refused() == (status, outcome)
        [(_, error, _)] = path.store.records
        if not isinstance(fault, RefusedError):
            assert type(fault).__name__ in error.type and "Traceback" in error.trace
        if outcome is Outcome.INIT_ERROR:
            assert (error.type, error.message, error.trace) == ("E", MARK, MARK)
        path.peer.close()

    on_loop(scenario)


def test_a_throttled_caller_is_told_when_to_come_back() -> None:
    async def scenario() -> None:
        path = Path(fault=RefusedError(Outcome.THROTTLED, "Full.", retry_after=3))
        answer = await path.invoke()
        assert dict(answer.headers)[b"retry-after"] == b"3"
        assert json.loads(answer.body)["detail"] == "Full."
        path.peer.close()

    on_loop(scenario)


@pytest.mark.parametrize(("revoked", "status"), [(True, 401), (False, 403)])
def test_who_loses_the_right_in_line_is_not_served(revoked: bool, status: int) -> None:
    async def scenario() -> None:
        path = Path()
        place = path.dispatcher.place

        async def placed_later(admitted: Admitted) -> Placed:
            placed = await place(admitted)
            if revoked:
                path.accounts.known.clear()
            else:
                path.policy.forbidden.add((Action.FUNCTION_INVOKE, "function:t/f"))
            return placed

        path.dispatcher.place = placed_later  # type: ignore[method-assign]
        assert await path.refused() == (status, Outcome.DENIED)
        assert len(path.store.denied) == 1
        assert path.dispatcher.released == path.dispatcher.placed != []
        path.close()

    on_loop(scenario)


def test_a_budget_that_is_used_up_in_line_is_asked_again() -> None:
    async def scenario() -> None:
        path = Path()
        place = path.dispatcher.place

        async def placed_later(admitted: Admitted) -> Placed:
            placed = await place(admitted)
            budget = Budget(
                project="t", name="b", amount=1.0, unit=BudgetUnit.REQUESTS, per=BudgetPer.DAY,
                hard=True,
            )  # fmt: skip
            path.allowance.put(Ledger(budget, time.time()))
            path.allowance.ledgers["t"]["b"].count(1.0)
            return placed

        path.dispatcher.place = placed_later  # type: ignore[method-assign]
        assert (await path.invoke()).status == 429
        assert path.dispatcher.released == path.dispatcher.placed != []
        path.close()

    on_loop(scenario)


@pytest.mark.parametrize("fault", [RuntimeError(MARK), KeyError(MARK), RecursionError(MARK)])
def test_a_fault_of_admission_admits_nobody(fault: Exception) -> None:
    async def scenario() -> None:
        path = Path()

        def broken(_: Request) -> Admitted:
            raise fault

        path.admission.admit = broken  # type: ignore[method-assign]
        assert await path.refused() == (500, Outcome.INTERNAL_ERROR)
        assert path.dispatcher.placed == []
        path.peer.close()

    on_loop(scenario)


def error_frame(kind: str) -> bytes:
    detail = {"kind": kind, "type": MARK, "message": MARK, "trace": MARK}
    return wire.pack(wire.ERROR, json.dumps(detail).encode())


@pytest.mark.parametrize(
    ("sent", "status", "outcome"),
    [
        (error_frame("handler-error"), 500, Outcome.HANDLER_ERROR),
        (error_frame("bad-result"), 500, Outcome.BAD_RESULT),
        (error_frame("response-too-large"), 500, Outcome.RESPONSE_TOO_LARGE),
        (error_frame("init-error"), 500, Outcome.PROTOCOL_VIOLATION),
        (error_frame("s3cr3t"), 500, Outcome.PROTOCOL_VIOLATION),
        (b"GET / HTTP/1.1\r\n\r\n", 500, Outcome.PROTOCOL_VIOLATION),
        (wire.pack(wire.ANSWER, b'{"status":7}', b"s3cr3t"), 500, Outcome.BAD_RESULT),
        (wire.pack(wire.ANSWER, b"\xff", b"s3cr3t"), 500, Outcome.BAD_RESULT),
    ],
)
def test_a_failed_run_is_sealed(sent: bytes, status: int, outcome: Outcome) -> None:
    async def scenario() -> None:
        path = Path()
        task = path.invoke()
        await path.peer.event()
        await path.peer.send(sent)
        answer = await task
        assert MARK.encode() not in answer.body
        assert answer.status == status
        [(record, error, _)] = path.store.records
        assert record.outcome is outcome and error is not None
        assert len(path.dispatcher.released) == 1
        path.peer.close()

    on_loop(scenario)


AWAY = DataMediumError("The database of orders cannot be reached.")


@pytest.mark.parametrize(
    ("fault", "raised", "status", "again"),
    [
        (AWAY, lambda told: UnavailableError(told), 503, b"5"),
        (DataKeyError("Its key is gone."), lambda told: UnavailableError(told), 503, b"30"),
        # The handler's own: it made something else of it, or nothing was refused.
        (AWAY, lambda told: ValueError(told), 500, None),
        (AWAY, lambda _: UnavailableError("what I say myself"), 500, None),
        (DataCorruptError("Bytes are not as written."), UnavailableError, 500, None),
        (None, lambda _: UnavailableError("the host failed"), 500, None),
    ],
)
def test_a_handler_that_lets_a_refusal_of_ours_pass_has_its_caller_come_again(
    fault: Exception | None,
    raised: Callable[[str], Exception],
    status: int,
    again: bytes | None,
) -> None:
    async def scenario() -> None:
        path = Path(grants=(QUEUE,))
        path.data.fault = fault
        task = path.invoke()
        await path.peer.event()
        reply = await path.ask("queue.send", b"1", queue="jobs")
        assert fault is None or reply["error"] == "unavailable"
        error = raised(reply.get("message", ""))
        detail = describe(error) | {"kind": "handler-error"}
        await path.peer.send(wire.pack(wire.ERROR, json.dumps(detail).encode()))
        answer = await task
        assert (answer.status, dict(answer.headers).get(b"retry-after")) == (status, again)
        [(record, told, _)] = path.store.records
        # Its owner is told as of any error: what it raised, and the name of what is away.
        assert record.outcome is Outcome.HANDLER_ERROR and record.status == status
        assert told is not None and told.message == str(error)
        assert told.type.endswith(type(error).__name__)
        path.peer.close()

    on_loop(scenario)


def test_the_deadline_ends_the_instance() -> None:
    async def scenario() -> None:
        path = Path(limits=Limits(timeout=0.05))
        assert await path.refused() == (504, Outcome.TIMEOUT)
        assert path.peer.killed == [7]
        assert not path.peer.instance.alive
        assert len(path.dispatcher.released) == 1
        path.peer.close()

    on_loop(scenario)


def test_the_deadline_is_forgotten_once_answered() -> None:
    async def scenario() -> None:
        path = Path(limits=Limits(timeout=0.05))
        task = path.invoke()
        await path.peer.event()
        await path.peer.send(wire.pack(wire.ANSWER, b"{}", b"1"))
        assert (await task).status == 200
        await asyncio.sleep(0.1)
        assert path.peer.instance.alive
        path.peer.close()

    on_loop(scenario)


def test_a_cancelled_call_ends_its_instance_and_gives_it_back() -> None:
    async def scenario() -> None:
        path = Path()
        task = path.invoke()
        await path.peer.event()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Reused, it would give the next caller this call's answer.
        assert not path.peer.instance.alive
        assert path.peer.killed == [7]
        assert len(path.dispatcher.released) == 1
        path.peer.close()

    on_loop(scenario)


def test_an_instance_that_is_none_is_a_fault_of_ours() -> None:
    class Other:
        number = 1

    async def scenario() -> None:
        path = Path()

        async def place(admitted: Admitted) -> Placed:
            return Placed(admitted=admitted, instance=Other(), queued=0.0, cold=False)

        path.dispatcher.place = place  # type: ignore[method-assign]
        assert await path.refused() == (500, Outcome.INTERNAL_ERROR)
        path.peer.close()

    on_loop(scenario)


def test_a_stage_takes_nothing_but_the_type_of_the_one_before() -> None:
    class NoClient:
        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()
            self.ahead = SimpleNamespace()

    async def scenario() -> None:
        path = Path()
        asked = request(credential=CREDENTIAL)
        admitted = path.admission.admit(asked)
        placed = await path.dispatcher.place(admitted)
        wrong = (AttributeError, TypeError)
        with pytest.raises(wrong):
            path.admission.admit(asked.raw)  # type: ignore[arg-type]
        with pytest.raises(wrong):
            path.admission.admit(admitted)  # type: ignore[arg-type]
        dispatcher = Dispatcher(NoClient())  # type: ignore[arg-type]
        for skipped in (asked.raw, asked):
            with pytest.raises(wrong):
                await dispatcher.place(skipped)  # type: ignore[arg-type]
        for skipped in (asked.raw, asked, admitted):
            with pytest.raises(wrong):
                await path.pipeline._run(skipped, None)  # type: ignore[arg-type]
        store = MemoryStore()
        for skipped in (asked.raw, asked, admitted, placed):
            with pytest.raises(wrong):
                Seal(store).close(skipped)  # type: ignore[arg-type]
        assert store.records == []
        path.peer.close()

    on_loop(scenario)


def test_the_types_of_the_path_cannot_be_changed_on_the_way() -> None:
    admitted = Admitted(request=request(), version=version(), principal=ANONYMOUS)
    placed = Placed(admitted=admitted, instance=object(), queued=0.0, cold=False)  # type: ignore[arg-type]
    for value, field in (
        (raw(), "credential"),
        (request(), "event"),
        (admitted, "principal"),
        (placed, "instance"),
        (Finished(outcome=Outcome.OK), "outcome"),
    ):
        with pytest.raises(AttributeError):
            setattr(value, field, None)


# -- allowed, but not to this one ----------------------------------------------------------------


def test_a_valid_token_that_may_not_is_told_so_and_no_more() -> None:
    async def scenario() -> None:
        path = Path()
        path.policy.forbidden |= {
            (Action.FUNCTION_INVOKE, f"function:t/{name}") for name in ("f", MARK)
        }
        answer = await path.invoke()
        unknown = await path.invoke(function=MARK)
        bodies = [json.loads(a.body) for a in (answer, unknown)]
        for body in bodies:
            body.pop("error_id")
        assert bodies[0] == bodies[1]
        assert bodies[0]["status"] == 403 and "token" in bodies[0]["detail"]
        assert b"www-authenticate" not in dict(answer.headers)
        assert {record.outcome for record, _, _ in path.store.records} == {Outcome.DENIED}
        assert [d.principal for d in path.store.denied] == ["token:invoker"] * 2
        assert path.dispatcher.placed == []
        path.close()

    on_loop(scenario)


# -- the deadline of a flow ----------------------------------------------------------------------


def flow(seconds: float, *ceilings: tuple[Grant, ...]) -> Flow:
    return Flow(root="inv_root", chain=("t/f1",), deadline=time.time() + seconds, ceilings=ceilings)


@pytest.mark.parametrize(("left", "limit"), [(3.0, 9.0), (9.0, 3.0)])
def test_a_call_ends_with_its_flow_or_its_own_limit_whichever_is_first(
    left: float, limit: float
) -> None:
    async def scenario() -> None:
        path = Path(limits=Limits(timeout=limit), flow=flow(left))
        task = path.invoke()
        head, _ = await path.peer.event()
        assert json.loads(head)["deadline"] == pytest.approx(time.time() + 3.0, abs=0.5)
        await path.answer()
        assert (await task).status == 200
        path.close()

    on_loop(scenario)


@pytest.mark.parametrize("left", [0.05, 0.0, -60.0])
def test_a_flow_that_is_over_ends_the_call_long_before_its_own_limit(left: float) -> None:
    async def scenario() -> None:
        path = Path(limits=Limits(timeout=60.0), flow=flow(left))
        answer = await asyncio.wait_for(path.invoke(), 2)
        assert answer.status == 504
        assert left <= 0 or not path.peer.instance.alive
        assert len(path.dispatcher.released) == 1
        path.close()

    on_loop(scenario)


def test_a_flow_that_is_over_runs_no_code() -> None:
    async def scenario() -> None:
        path = Path(flow=flow(-60.0))
        assert (await path.invoke()).status == 504
        with pytest.raises(BlockingIOError):
            path.peer.sock.recv(1)
        path.close()

    on_loop(scenario)


# -- ceilings ------------------------------------------------------------------------------------


EGRESS = Grant(kind=GrantKind.EGRESS, name="api.example.com:443", actions=("connect",))
WILD = Grant(kind=GrantKind.EGRESS, name="*.example.com:443", actions=("connect",), exception="x")


@pytest.mark.parametrize(
    ("granted", "ceilings"),
    [
        (EGRESS, ((),)),
        (EGRESS, ((SECRET,),)),
        (EGRESS, ((EGRESS,), ())),
        (EGRESS, (({"name": "api.example.com:80"}),)),
        (WILD, ((EGRESS,),)),
    ],
)
def test_a_function_that_reaches_further_than_its_caller_allows_does_not_run(
    granted: Grant, ceilings: tuple[Any, ...]
) -> None:
    limits = tuple(
        (msgspec.structs.replace(EGRESS, **c),) if isinstance(c, dict) else c for c in ceilings
    )

    async def scenario() -> None:
        path = Path(grants=(granted,), flow=flow(9.0, *limits))
        assert await path.refused() == (403, Outcome.DENIED)
        # What was to run it has seen nothing, and serves nobody else by mistake.
        assert len(path.dispatcher.released) == len(path.dispatcher.placed) == 1
        assert not path.peer.instance.alive
        assert path.peer.sock.recv(1) == b""
        path.close()

    on_loop(scenario)


def test_a_function_that_stays_within_every_ceiling_runs() -> None:
    async def scenario() -> None:
        path = Path(grants=(EGRESS,), flow=flow(9.0, (EGRESS, SECRET), (WILD,)))
        task = path.invoke()
        await path.peer.event()
        await path.answer()
        assert (await task).status == 200
        path.close()

    on_loop(scenario)


def test_a_ceiling_that_refuses_is_recorded() -> None:
    async def scenario() -> None:
        path = Path(grants=(EGRESS,), flow=flow(9.0, ()))
        await path.invoke()
        assert [d.function for d in path.store.denied] == ["f"]
        path.close()

    on_loop(scenario)


def test_an_event_from_a_function_has_the_limit_of_one_from_outside() -> None:
    async def scenario() -> None:
        path = Path(limits=Limits(request=10), flow=flow(9.0))
        assert await path.refused(body=b'"' + b"x" * 10 + b'"') == (413, Outcome.INVALID)
        with pytest.raises(BlockingIOError):  # no instance has been taken for it
            path.peer.sock.recv(1)
        path.close()

    on_loop(scenario)


def test_a_ceiling_holds_for_all_that_is_called_from_there() -> None:
    async def scenario() -> None:
        path = Path(grants=(QUEUE, SECRET), flow=flow(9.0, (SECRET,)))
        task = path.invoke()
        await path.peer.event()
        assert (await path.ask("queue.send", b"1", queue="jobs"))["error"] == "denied"
        assert path.data.sent == []
        assert "calling function" in path.store.denied[0].reason
        await path.answer()
        await task
        path.close()

    on_loop(scenario)


# -- the session ---------------------------------------------------------------------------------

WAYS_OUT = {
    "answer": wire.pack(wire.ANSWER, b"{}", b"1"),
    "error": error_frame("handler-error"),
    "garbage": b"GET / HTTP/1.1\r\n\r\n",
    "timeout": None,
    "cancelled": None,
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_what_is_under_way_ends_with_the_invocation(way: str) -> None:
    async def scenario() -> None:
        timeout = 0.1 if way == "timeout" else 9.0
        path = Path(grants=(QUEUE,), limits=Limits(timeout=timeout))
        path.data.held = asyncio.Event()
        task = path.invoke()
        await path.peer.event()
        head = json.dumps({"n": 1, "op": "queue.send", "queue": "jobs"}).encode()
        await path.peer.send(wire.pack(wire.CAPABILITY, head, b"1"))
        sent = WAYS_OUT[way]
        if sent is not None:
            await path.peer.send(sent)
        elif way == "cancelled":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await path.peer.settle()
        path.data.held.set()
        await path.peer.settle()
        assert (path.data.cancelled, path.data.sent) == (1, [])
        assert len(path.dispatcher.released) == 1
        path.close()

    on_loop(scenario)


def test_a_fault_of_the_broker_is_sealed_and_gives_the_instance_back() -> None:
    async def scenario() -> None:
        path = Path()

        def broken(*_: object) -> None:
            raise RuntimeError(MARK)

        path.broker.serve = broken  # type: ignore[method-assign]
        assert await path.refused() == (500, Outcome.INTERNAL_ERROR)
        assert len(path.dispatcher.released) == 1 and not path.peer.instance.alive
        path.close()

    on_loop(scenario)


def test_a_reply_does_not_reach_the_next_invocation_of_the_instance() -> None:
    async def scenario() -> None:
        path = Path(grants=(QUEUE,))
        path.data.held = asyncio.Event()
        first = path.invoke()
        await path.peer.event()
        head = json.dumps({"n": 1, "op": "queue.send", "queue": "jobs"}).encode()
        await path.peer.send(wire.pack(wire.CAPABILITY, head, b"1"))
        await path.answer()
        assert (await first).status == 200
        second = path.invoke()
        head, _ = await path.peer.event()
        assert "deadline" in json.loads(head)
        path.data.held.set()
        await path.peer.settle()
        with pytest.raises(BlockingIOError):
            path.peer.sock.recv(1)
        await path.answer()
        assert (await second).status == 200
        path.close()

    on_loop(scenario)


# -- secrets in answers --------------------------------------------------------------------------


def test_an_answer_is_looked_through_once_a_secret_was_delivered() -> None:
    async def scenario() -> None:
        path = Path(grants=(SECRET,))
        task = path.invoke()
        await path.peer.event()
        assert "ok" in await path.ask("secret.get", name="stripe")
        await path.answer(b'"' + MARK.encode() + b'"', b'{"headers":[["x-a","s3cr3t"]]}')
        answer = await task
        assert answer.body == b'"[redacted:stripe]"'
        assert (b"x-a", b"[redacted:stripe]") in answer.headers
        path.close()

    on_loop(scenario)


def test_an_answer_without_a_secret_costs_the_vault_nothing() -> None:
    async def scenario() -> None:
        path = Path(grants=(SECRET,))
        task = path.invoke()
        await path.peer.event()
        assert (await path.ask("secret.get", name="other"))["error"] == "denied"
        await path.answer(b'"s3cr3t"')
        assert (await task).body == b'"s3cr3t"'
        assert path.vault.redacted == []
        path.close()

    on_loop(scenario)


def test_an_answer_that_the_vault_cannot_look_through_does_not_leave() -> None:
    async def scenario() -> None:
        path = Path(grants=(SECRET,))
        path.vault.fault = RuntimeError("gone")
        task = path.invoke()
        await path.peer.event()
        await path.ask("secret.get", name="stripe")
        await path.answer(b'"s3cr3t"')
        answer = await task
        assert answer.status == 500 and MARK.encode() not in bytes(answer.body)
        [(record, _, _)] = path.store.records
        assert record.outcome is Outcome.INTERNAL_ERROR
        path.close()

    on_loop(scenario)


def test_a_reused_instance_cannot_hand_a_secret_to_the_next_caller() -> None:
    async def scenario() -> None:
        path = Path(grants=(SECRET,))
        first = path.invoke()
        await path.peer.event()
        await path.ask("secret.get", name="stripe")
        await path.answer()
        await first
        second = path.invoke()
        await path.peer.event()
        await path.answer(b'"s3cr3t"')
        assert MARK.encode() not in bytes((await second).body)
        path.close()

    on_loop(scenario)


def spec_of(limits: Limits | None = None) -> FunctionSpec:
    return FunctionSpec(name="f", handler="app:f", limits=limits or Limits())


@pytest.mark.parametrize(
    ("outcome", "kind", "trace", "told"),
    [
        (Outcome.TIMEOUT, "Timeout", "", "of 3 s (limits.timeout in casemate.toml)"),
        (Outcome.OUT_OF_MEMORY, "OutOfMemory", "", "of 64 MB (limits.memory in casemate.toml)"),
        (Outcome.RESPONSE_TOO_LARGE, "TooLarge", "", "(limits.response in casemate.toml)"),
        (
            Outcome.HANDLER_ERROR,
            "builtins.PermissionError",
            'File "/usr/lib/python3.13/subprocess.py", line 1, in _execute_child',
            "(a function starts no programs: use a Python package for it)",
        ),
    ],
)
def test_a_failure_names_the_limit_and_the_remedy(
    outcome: Outcome, kind: str, trace: str, told: str
) -> None:
    reply = Reply(outcome, type=kind, message="so", trace=trace)
    failure = failure_of(reply, spec_of(Limits(memory=64 << 20)), 3.0)
    assert failure is not None
    assert failure.message == f"so {told}"
    assert (failure.type, failure.trace) == (kind, trace)


@pytest.mark.parametrize(
    ("kind", "message", "trace"),
    [
        (
            "urllib.error.URLError",
            "<urlopen error [Errno -3] Temporary failure in name resolution>",
            "",
        ),
        (
            "urllib.error.URLError",
            "<urlopen error [Errno 13] Permission denied>",
            "    sock.connect(sa)\n",
        ),
        ("PermissionError", "[Errno 13] Permission denied", ", in create_connection\n"),
        ("PermissionError", "[Errno 13] Connect call failed ('127.0.0.1', 80)", ""),
        ("OSError", "[Errno 101] Network is unreachable", ""),
        ("psycopg.OperationalError", "connection failed: port 5432 failed: Permission denied", ""),
        (
            "redis.exceptions.ConnectionError",
            "Error 13 connecting to a:6379. Permission denied.",
            "",
        ),
    ],
)
def test_who_reaches_no_host_is_told_what_to_grant(kind: str, message: str, trace: str) -> None:
    reply = Reply(Outcome.HANDLER_ERROR, type=kind, message=message, trace=trace)
    failure = failure_of(reply, spec_of(), 1.0)
    assert failure is not None
    assert failure.message.startswith(f"{message} (this function is granted no egress. Next: ")
    line = (
        'Under [function.f.grants] in casemate.toml add: egress = [{ host = "HOST", port = PORT }]'
    )
    assert line in failure.message and "private = true" in failure.message
    egress = Grant(kind=GrantKind.EGRESS, name="a.example:443", actions=("connect",))
    failure = failure_of(reply, msgspec.structs.replace(spec_of(), grants=(egress,)), 1.0)
    assert failure is not None
    assert "`forward`" in failure.message and "granted no egress" not in failure.message


@pytest.mark.parametrize(
    ("message", "trace"),
    [
        ("[Errno 13] Permission denied: '/srv/connect'", "    open(path)\n, in connect\n"),
        ("[Errno 13] Permission denied", "    os.kill(1, 9)\n"),
        ("403 Forbidden: not granted. Next: add a table. Permission denied", ", in connect\n"),
    ],
)
def test_another_refusal_is_not_told_as_one_of_a_connection(message: str, trace: str) -> None:
    reply = Reply(Outcome.HANDLER_ERROR, type="PermissionError", message=message, trace=trace)
    failure = failure_of(reply, spec_of(), 1.0)
    assert failure is not None
    assert failure.message == message


@pytest.mark.parametrize(
    ("kind", "message", "trace", "told"),
    [
        ("OSError", "[Errno 28] No space left on device", "", "its /tmp holds 2 MB: limits.tmp in"),
        ("OSError", "[Errno 24] Too many open files: 'a'", "", "a process has 20 open files: "),
        ("RuntimeError", "can't start new thread", "", "has 5 processes and threads: limits."),
        (
            "BlockingIOError",
            "[Errno 11] Resource temporarily unavailable",
            "    pid = os.fork()\n",
            "an instance has 5 processes and threads: limits.processes in casemate.toml",
        ),
        ("OSError", "[Errno 30] Read-only file system: 'a'", "", "only /tmp can be written: "),
        (
            "PermissionError",
            "[Errno 13] Permission denied",
            "    _socket.socket.__init__(self, family, type, proto, fileno)\n",
            "a function sends no datagrams (UDP)",
        ),
        ("ModuleNotFoundError", "No module named 'numpy'", "", "`requirements` of the function"),
    ],
)
def test_an_error_of_python_names_the_limit_that_it_met(
    kind: str, message: str, trace: str, told: str
) -> None:
    limits = Limits(tmp=2 << 20, open_files=20, processes=5)
    reply = Reply(Outcome.HANDLER_ERROR, type=kind, message=message, trace=trace)
    failure = failure_of(reply, spec_of(limits), 1.0)
    assert failure is not None
    assert failure.message.startswith(f"{message} (")
    assert told in failure.message


def test_a_result_that_is_no_json_is_told_with_what_is() -> None:
    message = "the handler's result is not JSON: Object of type date is not JSON serializable"
    reply = Reply(Outcome.BAD_RESULT, type="BadResultError", message=message)
    failure = failure_of(reply, spec_of(), 1.0)
    assert failure is not None
    assert failure.message.startswith(f"{message} (return text, numbers")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("BlockingIOError", "[Errno 11] Resource temporarily unavailable"),
        ("shop.OutOfStockError", "[Errno 28] of the shelf"),
        ("ImportError", "No module named x"),
    ],
)
def test_what_only_looks_like_a_limit_is_told_as_it_is(kind: str, message: str) -> None:
    reply = Reply(Outcome.HANDLER_ERROR, type=kind, message=message, trace="sock.recv()")
    failure = failure_of(reply, spec_of(), 1.0)
    assert failure is not None
    assert failure.message == message


def test_an_answer_is_no_failure_and_other_errors_are_told_as_they_are() -> None:
    assert failure_of(Reply(Outcome.OK), spec_of(), 1.0) is None
    reply = Reply(Outcome.HANDLER_ERROR, type="builtins.PermissionError", message="no", trace="")
    failure = failure_of(reply, spec_of(), 1.0)
    assert failure is not None
    assert failure.message == "no"
