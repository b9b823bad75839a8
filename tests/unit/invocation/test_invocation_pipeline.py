"""The path: whatever a stage does, the answer leaves through the seal, and no stage is skipped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from casemate.admission import Admission, Catalogue, Keyring, new_key
from casemate.dispatch import Dispatcher
from casemate.invocation import Pipeline
from casemate.model.deployment import KeyRole
from casemate.model.function import Limits
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Failure, Finished, Placed, RefusedError, Request
from casemate.runner import wire
from casemate.seal import Seal
from support.core import InstancePeer, MemoryStore, deployed, raw, request, version

KEY, TEXT = new_key("k", KeyRole.INVOKE)
CREDENTIAL = f"Bearer {TEXT}"
MARK = "s3cr3t"


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

    def __init__(self, *, limits: Limits | None = None, fault: BaseException | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.store = MemoryStore()
        self.peer = InstancePeer(self.loop, reuse=True)
        self.dispatcher = OneInstance(self.peer, fault)
        catalogue, keyring = Catalogue(), Keyring()
        catalogue.replace([deployed(version(3, limits=limits or Limits()))])
        keyring.replace([KEY])
        self.admission = Admission(catalogue, keyring)
        self.pipeline = Pipeline(self.admission, self.dispatcher, Seal(self.store))

    def invoke(self, **changes: Any) -> asyncio.Task[HttpResponse]:
        given = {"credential": CREDENTIAL, **changes}
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


def on_loop(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await asyncio.wait_for(scenario(), 10)

    asyncio.run(run())


def test_an_event_goes_in_and_the_answer_comes_out() -> None:
    async def scenario() -> None:
        path = Path(limits=Limits(timeout=9.0))
        before = msgspec.json.decode(msgspec.json.encode(0.0))
        task = path.invoke(body=b'{"a":1}')
        head, event = await path.peer.event()
        sent = json.loads(head)
        assert event == b'{"a":1}'
        assert set(sent) == {"id", "deadline", "http", "version"}
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


def test_an_http_event_is_marked_as_such() -> None:
    async def scenario() -> None:
        path = Path()
        task = path.invoke(event={"method": "GET"}, trigger="http")
        head, event = await path.peer.event()
        assert json.loads(head)["http"] is True
        assert json.loads(event) == {"method": "GET"}
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
    ],
)
def test_a_fault_of_dispatch(fault: Exception, status: int, outcome: Outcome) -> None:
    async def scenario() -> None:
        path = Path(fault=fault)
        assert await path.refused() == (status, outcome)
        [(_, error, _)] = path.store.records
        if outcome is Outcome.INTERNAL_ERROR:
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
                await path.pipeline._run(skipped)  # type: ignore[arg-type]
        store = MemoryStore()
        for skipped in (asked.raw, asked, admitted, placed):
            with pytest.raises(wrong):
                Seal(store).close(skipped)  # type: ignore[arg-type]
        assert store.records == []
        path.peer.close()

    on_loop(scenario)


def test_the_types_of_the_path_cannot_be_changed_on_the_way() -> None:
    admitted = Admitted(request=request(), version=version(), principal="p")
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
