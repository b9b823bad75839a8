"""The broker: a use happens if it is granted, within every ceiling and allowed, and not else."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from casemate.admission import Catalogue
from casemate.baselines import Baselines
from casemate.capabilities import Broker, Operations, UseCounter
from casemate.capabilities.flow import MAX_DEPTH, parse_ceiling
from casemate.data.errors import DataVersionError
from casemate.data.interface import ObjectInfo
from casemate.model.denial import DenialKind
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.grant import Grant, GrantKind
from casemate.model.http import HttpResponse
from casemate.model.path import Admitted, Caller, Flow, RawInvocation, RefusedError
from casemate.model.principal import Action, Principal, PrincipalKind
from casemate.model.tracing import AMBIENT, MAX_SPANS, TraceContext, handed_on
from casemate.operations.declaration import Operation
from casemate.operations.messages import PublishMessage, SendMessage, Sent
from casemate.operations.objects import (
    AbortObject,
    AddPart,
    BeginObject,
    ReadObject,
    Received,
    Upload,
)
from casemate.runner import wire
from casemate.sandbox.frames import Output
from casemate.vault.interface import SecretVersion
from support.core import InstancePeer, MemoryStore, PlainPolicy, deployed, request, version
from support.facts import stream

BUCKET = Grant(
    kind=GrantKind.BUCKET, name="uploads", actions=("read", "write"), prefixes=("in/", "own/")
)
SECRET = Grant(kind=GrantKind.SECRET, name="stripe", actions=("read",))
INVOKE = Grant(kind=GrantKind.FUNCTION, name="resize", actions=("invoke",))
QUEUE = Grant(kind=GrantKind.QUEUE, name="jobs", actions=("send",))
GRANTS = (BUCKET, SECRET, INVOKE, QUEUE)
FUNCTION = Principal(kind=PrincipalKind.FUNCTION, id="t/f")
MARK = "s3cr3t-payload"
TRACE = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01", "vendor=1")

ANSWERS: dict[type, Any] = {
    ReadObject: (
        ObjectInfo(key="in/k", revision=1, size=2, modified_at=1.0, sha256="x"),
        b"hi",
    ),
    BeginObject: Upload(upload="upload-1"),
    AddPart: Received(size=3),
    SendMessage: Sent(id="msg-1"),
    PublishMessage: Sent(id="msg-1"),
}


class Data:
    """Counts what is done and answers the same each time."""

    def __init__(self) -> None:
        self.done: list[Operation[Any]] = []
        self.fault: Exception | None = None
        self.in_memory: tuple[ObjectInfo, bytes] | None = None
        """What is in memory of every bucket."""

    def recent(self, _: ReadObject) -> tuple[ObjectInfo, bytes] | None:
        if self.fault is not None:
            raise self.fault
        return self.in_memory

    async def read(self, operation: Operation[Any]) -> Any:
        if self.fault is not None:
            raise self.fault
        self.done.append(operation)
        info = ObjectInfo(key="in/k", revision=1, size=2, modified_at=1.0, sha256="x")
        return ANSWERS.get(type(operation), info)

    change = read


class Vault:
    """Hands out one value, and signs by writing the claims out."""

    async def deliver_secret(
        self, project: str, name: str, version: int | None, descriptor: int
    ) -> SecretVersion:
        os.write(descriptor, f"{project}/{name}".encode())
        return SecretVersion(
            project=project, name=name, version=1, created_at=1.0, created_by="user:a"
        )

    async def sign_token(self, claims: dict[str, object]) -> str:
        return json.dumps(claims)


class Stage:
    """A broker, and one invocation under way in an instance that a test plays."""

    def __init__(self, *, grants: tuple[Grant, ...] = GRANTS, **rest: Any) -> None:
        loop = asyncio.get_running_loop()
        self.store = MemoryStore()
        self.policy = PlainPolicy()
        self.data = Data()
        self.uses = UseCounter(self.store)
        facts = stream(self.store.deny, self.uses)
        learn, withholds = rest.pop("learn", False), rest.pop("withholds", None)
        flow: Flow | None = rest.pop("flow", None)
        raw = rest.pop("raw", {})
        self.version = version(3, grants=grants, **rest)
        self.catalogue = Catalogue()
        self.catalogue.replace([deployed(self.version)])
        self.broker = Broker(
            policy=self.policy,
            deployed=self.catalogue,
            operations=Operations(self.data, Vault(), "https://node.test"),
            facts=facts,
            baselines=Baselines(self.store, facts),
            keep=self.keep,
            withholds=withholds,
            learn=learn,
        )
        self.invoked: list[RawInvocation] = []
        self.response = HttpResponse(200, ((b"content-type", b"application/json"),), b'{"ok":1}')
        self.kept: list[RawInvocation] = []
        self.path = self.invoke
        self.peer = InstancePeer(loop, reuse=True)
        caller = Caller(principal=FUNCTION, flow=flow) if flow is not None else None
        self.admitted = Admitted(
            request=request(caller=caller, **raw),
            version=self.version,
            principal=FUNCTION,
        )
        self.number = 0

    async def invoke(self, raw: RawInvocation) -> HttpResponse:
        self.invoked.append(raw)
        return self.response

    async def keep(self, raw: RawInvocation) -> HttpResponse:
        self.kept.append(raw)
        return self.response

    async def begin(self) -> Stage:
        await self.peer.send(wire.pack(wire.READY))
        self.session = self.broker.serve(self.admitted, 1e10, lambda raw: self.path(raw))
        self.waiter = self.peer.instance.invoke(
            b"{}", b"null", Output(1000), self.session.on_request
        )
        await self.peer.event()
        return self

    async def ask(self, op: str, body: bytes = b"", **fields: Any) -> tuple[dict[str, Any], bytes]:
        self.number += 1
        head = json.dumps({"n": self.number, "op": op, **fields}).encode()
        await self.peer.send(wire.pack(wire.CAPABILITY, head, body))
        reply, content = await asyncio.wait_for(self.peer.event(), 5)
        decoded = json.loads(reply)
        assert decoded.pop("n") == self.number
        return decoded, content


def play(scene: Callable[[Stage], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        stage = Stage(**options)
        try:
            await scene(await stage.begin())
        finally:
            stage.uses.close()
            stage.peer.close()

    asyncio.run(run())


def test_what_is_granted_is_done_and_counted() -> None:
    async def scene(stage: Stage) -> None:
        reply, content = await stage.ask("bucket.get", bucket="uploads", key="in/a")
        assert (reply["ok"]["revision"], content) == (1, b"hi")
        await stage.ask("bucket.get", bucket="uploads", key="own/a")
        await stage.ask("bucket.get", bucket="uploads", key="own/b")
        await stage.uses.flush()
        assert {(u.grant, u.action, u.prefix, u.count) for u in stage.store.used} == {
            ("bucket uploads", "read", "in/", 1),
            ("bucket uploads", "read", "own/", 2),
        }
        assert stage.store.denied == []

    play(scene)


def test_a_deploy_that_takes_a_grant_reaches_calls_that_run() -> None:
    """Until it ended, a call had what its version was granted, whatever the owner did."""

    async def scene(stage: Stage) -> None:
        async def get(key: str) -> str:
            reply, _ = await stage.ask("bucket.get", bucket="uploads", key=key)
            return str(reply.get("error", "ok"))

        assert await get("own/a") == "ok"
        narrow = Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read",), prefixes=("in/",))
        newer = version(4, grants=(narrow,))
        stage.catalogue.replace([deployed(stage.version, newer, live={3: 90, 4: 10})])
        assert await get("own/a") == "ok", "both are live"
        stage.catalogue.replace([deployed(stage.version, newer)])
        assert (await get("own/a"), await get("in/a")) == ("denied", "ok")
        assert stage.store.denied[-1].reason == "no longer granted by the live version"
        stage.catalogue.replace([deployed(stage.version, newer, live={})])
        assert await get("in/a") == "denied", "nothing is in force"
        stage.catalogue.replace([deployed(stage.version, newer, live={3: 100})])
        assert await get("own/a") == "ok", "it went back"

    play(scene)


class Slow:
    """A function that is called, and answers once it is told to."""

    def __init__(self, stage: Stage) -> None:
        self.called, self.ends = asyncio.Event(), asyncio.Event()
        self.still: list[bool] = []
        self.response = stage.response
        stage.path = self.invoke

    async def invoke(self, raw: RawInvocation) -> HttpResponse:
        self.called.set()
        await self.ends.wait()
        assert raw.still is not None
        self.still.append(raw.still())
        return self.response


def test_what_is_taken_while_a_use_waits_for_the_one_before_it_is_not_done() -> None:
    """Two that were asked for together were both decided then, and the second done much later."""

    async def scene(stage: Stage) -> None:
        slow = Slow(stage)
        for number, (op, fields) in enumerate(
            (
                ("function.invoke", {"function": "resize"}),
                ("queue.send", {"queue": "jobs"}),
                ("bucket.get", {"bucket": "uploads", "key": "in/a"}),
            )
        ):
            head = json.dumps({"n": number, "op": op, **fields}).encode()
            await stage.peer.send(wire.pack(wire.CAPABILITY, head, b"1"))
        await slow.called.wait()
        newer = version(4, grants=(BUCKET, INVOKE))
        stage.catalogue.replace([deployed(stage.version, newer)])
        slow.ends.set()
        replies: list[dict[str, Any]] = []
        while len(replies) < 3:  # several may come together
            data = await stage.peer.loop.sock_recv(stage.peer.sock, 65536)
            replies += [json.loads(head) for _, head, _ in stage.peer.received.feed(data)]
        assert [reply.get("error", "ok") for reply in replies] == ["ok", "denied", "ok"]
        assert slow.still == [True]
        assert [type(done) for done in stage.data.done] == [ReadObject]
        [denial] = stage.store.denied
        assert denial.reason == "no longer granted by the live version"
        await stage.uses.flush()
        assert {(use.grant, use.count) for use in stage.store.used} == {
            ("function resize", 1),
            ("queue jobs", 1),
            ("bucket uploads", 1),
        }

    play(scene)


@pytest.mark.parametrize("how", ["grant", "function", "policy"])
def test_a_call_to_another_function_is_decided_again_once_it_has_waited(how: str) -> None:
    async def scene(stage: Stage) -> None:
        slow = Slow(stage)
        slow.response = HttpResponse(403, (), b"{}")
        asked = asyncio.ensure_future(stage.ask("function.invoke", b"1", function="resize"))
        await slow.called.wait()
        if how == "grant":
            stage.catalogue.replace([deployed(stage.version, version(4, grants=()))])
        elif how == "function":
            stage.catalogue.replace([])
        else:
            stage.policy.forbidden.add((Action.FUNCTION_INVOKE, "function:t/resize"))
        slow.ends.set()
        reply, _ = await asked
        assert (slow.still, reply["error"]) == ([False], "denied")
        assert "t/f may not invoke function resize" in reply["message"]
        assert len(stage.store.denied) == 1

    play(scene)


def test_a_deploy_that_grants_more_gives_calls_that_run_nothing() -> None:
    async def scene(stage: Stage) -> None:
        more = Grant(kind=GrantKind.BUCKET, name="other", actions=("read",))
        stage.catalogue.replace([deployed(stage.version, version(4, grants=(*GRANTS, more)))])
        reply, _ = await stage.ask("bucket.get", bucket="other", key="in/a")
        assert reply["error"] == "denied"

    play(scene)


def test_a_version_that_is_removed_gives_its_calls_nothing_back() -> None:
    """They had all of its grants again, also those that the live version did not have any more."""

    async def scene(stage: Stage) -> None:
        async def get(key: str) -> str:
            reply, _ = await stage.ask("bucket.get", bucket="uploads", key=key)
            return str(reply.get("error", "ok"))

        narrow = Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read",), prefixes=("in/",))
        newer = version(4, grants=(narrow,))
        stage.catalogue.replace([deployed(newer)])
        assert (await get("own/a"), await get("in/a")) == ("denied", "ok")
        another = version(3, grants=GRANTS, digest="b" * 64)
        stage.catalogue.replace([deployed(another, newer, live={4: 100})])
        assert (await get("own/a"), await get("in/a")) == ("denied", "ok"), "its number"
        stage.catalogue.replace([])
        assert await get("in/a") == "denied", "nothing of the function is there"

    play(scene)


def test_uses_are_spans_of_the_trace_without_what_was_asked() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask("bucket.get", bucket="uploads", key="in/secret-key")
        await stage.ask("bucket.get", bucket="other", key="in/secret-key")
        await stage.ask("queue.send", b"1", queue="jobs")
        spans = stage.session.spans
        assert [(span.name, span.on, span.ok) for span in spans] == [
            ("bucket.get", "bucket uploads", True),
            ("bucket.get", "bucket other", False),
            ("queue.send", "queue jobs", True),
        ]
        assert all(span.ms >= 0 for span in spans)
        assert "secret-key" not in str(spans)
        for _ in range(MAX_SPANS):
            await stage.ask("bucket.get", bucket="uploads", key="in/a")
        assert (len(stage.session.spans), stage.session.more_spans) == (MAX_SPANS, 3)

    play(scene)


def test_what_comes_of_a_use_is_part_of_the_trace_whatever_the_function_says() -> None:
    async def scene(stage: Stage) -> None:
        seen: list[str] = []
        perform = stage.broker.operations.perform

        async def noted(operation: Any) -> Any:
            seen.append(AMBIENT.get())
            return await perform(operation)

        stage.broker.operations.perform = noted  # type: ignore[method-assign]
        await stage.ask("queue.send", b"1", queue="jobs", attributes={"traceparent": "00-x"})
        reply, _ = await stage.ask("queue.send", b"1", queue="jobs", trace="00-mine")
        assert reply["error"] == "invalid"
        await stage.ask("function.invoke", b"1", function="resize")
        await stage.ask("function.invoke", b"1", function="resize", wait=False)
        trace = handed_on("inv_test", TRACE)
        assert seen == [trace.kept]
        assert [raw.trace for raw in (*stage.invoked, *stage.kept)] == [trace, trace]
        assert AMBIENT.get() == ""

    play(scene, raw={"trace": TRACE})


DENIED: list[tuple[str, dict[str, Any]]] = [
    ("bucket.get", {"bucket": "uploads", "key": "out/a"}),
    ("bucket.get", {"bucket": "uploads", "key": "IN/a"}),
    ("bucket.get", {"bucket": "uploads", "key": "in"}),
    ("bucket.get", {"bucket": "uploads", "key": "../in/a"}),
    ("bucket.get", {"bucket": "other", "key": "in/a"}),
    ("bucket.delete", {"bucket": "uploads", "key": "in/a"}),
    ("bucket.list", {"bucket": "uploads"}),
    ("bucket.list", {"bucket": "uploads", "prefix": "in/"}),
    ("table.get", {"table": "uploads", "key": "a"}),
    ("queue.send", {"queue": "other"}),
    ("topic.publish", {"topic": "jobs"}),
    ("secret.get", {"name": "other"}),
    ("function.invoke", {"function": "other"}),
    ("function.invoke", {"function": "f"}),
]


@pytest.mark.parametrize(("op", "fields"), DENIED)
def test_what_is_not_granted_is_not_done_but_recorded(op: str, fields: dict[str, Any]) -> None:
    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask(op, MARK.encode(), **fields)
        assert reply["error"] == "denied"
        assert stage.data.done == stage.invoked == []
        [denial] = stage.store.denied
        assert (denial.kind, denial.principal) == (DenialKind.CAPABILITY, "function:t/f")
        assert (denial.invocation, denial.version) == ("inv_test", 3)
        assert MARK not in str(denial) and "out/a" not in str(denial)

    play(scene)


def test_what_is_in_memory_is_answered_and_counted_but_only_to_who_may_read() -> None:
    async def scene(stage: Stage) -> None:
        info = ObjectInfo(key="in/a", revision=7, size=6, modified_at=1.0, sha256="x")
        stage.data.in_memory = (info, b"recent")
        reply, content = await stage.ask("bucket.get", bucket="uploads", key="in/a")
        assert (reply["ok"]["revision"], content) == (7, b"recent")
        assert stage.data.done == []
        reply, content = await stage.ask("bucket.get", bucket="uploads", key="in/a", revision=1)
        assert (reply["ok"]["revision"], content) == (1, b"hi")
        for bucket, key in (("uploads", "out/a"), ("other", "in/a")):
            reply, content = await stage.ask("bucket.get", bucket=bucket, key=key)
            assert (reply["error"], content) == ("denied", b"")
        stage.policy.forbidden.add((Action.BUCKET_READ, "bucket:t/uploads"))
        reply, content = await stage.ask("bucket.get", bucket="uploads", key="in/a")
        assert (reply["error"], content) == ("denied", b"")
        await stage.uses.flush()
        assert [use.count for use in stage.store.used] == [2]
        assert len(stage.store.denied) == 3

    play(scene)


def test_a_policy_can_forbid_what_is_granted() -> None:
    async def scene(stage: Stage) -> None:
        stage.policy.forbidden.add((Action.SECRET_READ, "secret:t/stripe"))
        reply, _ = await stage.ask("secret.get", name="stripe")
        assert reply["error"] == "denied" and "policy" in reply["message"]
        assert "policy" in stage.store.denied[0].reason

    play(scene)


def test_the_policy_is_asked_for_every_use_with_the_function_as_principal() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask("queue.send", b"1", queue="jobs")
        [(principal, action, resource, granted)] = set(stage.policy.asked)
        assert (principal, action, granted) == (FUNCTION, Action.QUEUE_SEND, True)
        assert resource.text == "queue:t/jobs"

    play(scene)


def test_a_message_is_sent_with_its_key_and_priority() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask("queue.send", b"1", queue="jobs", key="ada", priority=-7)
        (sent,) = stage.data.done
        assert isinstance(sent, SendMessage)
        assert (sent.key, sent.priority) == ("ada", -7)
        for wrong in ({"priority": 101}, {"priority": 1.5}, {"key": 7}, {"key": "x" * 1025}):
            reply, _ = await stage.ask("queue.send", b"1", queue="jobs", **wrong)
            assert reply["error"] == "invalid"
        assert len(stage.data.done) == 1

    play(scene)


def test_a_fault_is_no_permission_and_tells_nothing() -> None:
    async def scene(stage: Stage) -> None:
        stage.data.fault = RuntimeError(MARK)
        reply, _ = await stage.ask("bucket.get", bucket="uploads", key="in/a")
        assert reply["error"] == "unavailable" and MARK not in str(reply)

    play(scene)


def test_a_fault_that_was_foreseen_is_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(stage: Stage) -> None:
        stage.data.fault = DataVersionError("8 is newer", next_step="Start the newer one.")
        reply, _ = await stage.ask("bucket.get", bucket="uploads", key="in/a")
        assert reply["error"] == "unavailable" and "newer" not in str(reply)

    play(scene)
    (record,) = caplog.records
    assert "8 is newer Next: Start the newer one." in record.getMessage()
    assert not record.exc_info or record.exc_info[0] is None


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (NotFoundError("none"), "not-found"),
        (ConflictError("other"), "conflict"),
        (InvalidInputError("bad"), "invalid"),
    ],
)
def test_errors_of_the_data_reach_the_function_by_their_kind(fault: Exception, code: str) -> None:
    async def scene(stage: Stage) -> None:
        stage.data.fault = fault
        reply, _ = await stage.ask("bucket.get", bucket="uploads", key="in/a")
        assert reply["error"] == code

    play(scene)


@pytest.mark.parametrize(
    "fields",
    [
        {"bucket": "Uploads", "key": "in/a"},
        {"bucket": "uploads\n", "key": "in/a"},
        {"bucket": "uploads", "key": ""},
        {"bucket": "uploads", "key": "in/a", "project": "other"},
        {"bucket": "uploads", "key": "in/a", "offset": -1},
        {"bucket": "uploads", "key": 7},
    ],
)
def test_a_malformed_request_is_an_error_of_the_function(fields: dict[str, Any]) -> None:
    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask("bucket.get", **fields)
        assert reply["error"] == "invalid"
        assert stage.data.done == []

    play(scene)


@pytest.mark.parametrize("head", [b"", b"[]", b"{}", b'{"n":1}', b'{"n":"1","op":"x"}', b"\xff"])
def test_what_is_no_request_ends_the_instance(head: bytes) -> None:
    async def scene(stage: Stage) -> None:
        await stage.peer.send(wire.pack(wire.CAPABILITY, head))
        if not stage.waiter.done():
            reply, _ = await asyncio.wait_for(stage.peer.event(), 2)
            assert json.loads(reply)["error"] == "invalid"
            return
        assert (await stage.waiter).outcome == "protocol-violation"
        assert stage.data.done == []

    play(scene)


def test_more_requests_than_one_can_make_end_the_instance() -> None:
    async def scene(stage: Stage) -> None:
        head = json.dumps({"n": 1, "op": "bucket.head", "bucket": "uploads", "key": "in/a"})
        await stage.peer.send(wire.pack(wire.CAPABILITY, head.encode()) * 50)
        assert (await stage.waiter).outcome == "protocol-violation"

    play(scene)


def test_an_upload_belongs_to_the_invocation_that_began_it() -> None:
    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask("bucket.part", b"x", bucket="uploads", upload="upload-1")
        assert reply["error"] == "not-found"
        await stage.ask("bucket.begin", bucket="uploads", key="in/big")
        reply, _ = await stage.ask("bucket.part", b"x", bucket="uploads", upload="upload-1")
        assert reply["ok"] == {"size": 3}
        reply, _ = await stage.ask("bucket.part", b"x", bucket="other", upload="upload-1")
        assert reply["error"] == "not-found"
        stage.session.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert isinstance(stage.data.done[-1], AbortObject)

    play(scene)


def test_a_secret_goes_by_a_descriptor_and_marks_the_invocation() -> None:
    async def scene(stage: Stage) -> None:
        assert not stage.peer.instance.holds_secret
        reply, content = await stage.ask("secret.get", name="stripe")
        assert reply["ok"]["version"] == 1 and content == b""
        assert stage.peer.instance.holds_secret

    play(scene)


def test_an_identity_token_names_this_function_and_no_other() -> None:
    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask("identity.token", audience="https://api.test")
        claims = json.loads(reply["ok"]["token"])
        assert (claims["sub"], claims["aud"]) == ("function:t/f", "https://api.test")
        assert 0 < claims["exp"] - claims["iat"] <= 300

    play(scene, grants=())


def test_a_call_to_another_function_enters_the_path_as_this_function() -> None:
    async def scene(stage: Stage) -> None:
        reply, content = await stage.ask(
            "function.invoke",
            b"[1]",
            function="resize",
            allow=["bucket uploads read in/"],
        )
        assert (reply["ok"]["status"], content) == (200, b'{"ok":1}')
        [raw] = stage.invoked
        assert (raw.project, raw.function, raw.credential) == ("t", "resize", None)
        assert raw.caller is not None and raw.caller.principal == FUNCTION
        flow = raw.caller.flow
        assert (flow.chain, flow.root) == (("t/f",), "inv_test")
        assert flow.ceilings == (
            (Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read",), prefixes=("in/",)),),
        )

    play(scene)


def test_a_call_whose_caller_has_ended_is_not_taken_back() -> None:
    """It ends by its own deadline, and so leaves a record."""

    async def scene(stage: Stage) -> None:
        entered, leave, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def invoke(raw: RawInvocation) -> HttpResponse:
            entered.set()
            await leave.wait()
            ended.set()
            return stage.response

        stage.path = invoke
        asking = asyncio.ensure_future(stage.ask("function.invoke", b"1", function="resize"))
        await asyncio.wait_for(entered.wait(), 5)
        stage.session.close()
        await asyncio.sleep(0)
        asking.cancel()
        leave.set()
        await asyncio.wait_for(ended.wait(), 5)

    play(scene)


def test_an_error_of_the_other_function_tells_its_id_only() -> None:
    async def scene(stage: Stage) -> None:
        problem = json.dumps({"error_id": "err_9", "detail": MARK}).encode()
        stage.response = HttpResponse(500, (), problem)
        reply, content = await stage.ask("function.invoke", b"1", function="resize")
        assert reply["ok"] == {"status": 500, "type": "", "error_id": "err_9"}
        assert content == b""

    play(scene)


def flow(*ceilings: str, chain: tuple[str, ...] = ("t/a",), deadline: float = 1e9) -> Flow:
    parsed = tuple(parse_ceiling((ceiling,)) for ceiling in ceilings)
    return Flow(root="inv_root", chain=chain, deadline=deadline, ceilings=parsed)


def test_every_ceiling_on_the_way_narrows_what_is_granted() -> None:
    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask("bucket.get", bucket="uploads", key="in/x/1")
        assert "ok" in reply
        for op, key in (("bucket.get", "in/y"), ("bucket.get", "own/x"), ("bucket.put", "in/x/1")):
            reply, _ = await stage.ask(op, bucket="uploads", key=key)
            assert reply["error"] == "denied" and "calling" in reply["message"]
        assert len(stage.store.denied) == 3

    play(scene, flow=flow("bucket uploads read,write in/", "bucket uploads read in/x/"))


def test_a_ceiling_grants_nothing() -> None:
    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask("bucket.get", bucket="secret-plans", key="a")
        assert reply["error"] == "denied"

    play(scene, flow=flow("bucket secret-plans read"))


def test_ceilings_stay_and_deadlines_shrink_from_link_to_link() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask("function.invoke", b"1", function="resize", allow=[])
        handed = stage.invoked[0].caller
        assert handed is not None
        assert handed.flow.deadline == 77.0
        assert handed.flow.root == "inv_root"
        assert handed.flow.ceilings == (*stage.admitted.flow.ceilings, ())  # type: ignore[union-attr]
        assert handed.flow.chain == ("t/a", "t/f")

    play(scene, flow=flow("function resize invoke", deadline=77.0))


def test_calls_in_a_circle_end() -> None:
    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask("function.invoke", b"1", function="resize")
        assert reply["error"] == "limit"
        assert stage.invoked == []

    play(scene, flow=flow(chain=("t/a",) * MAX_DEPTH))


EGRESS = Grant(kind=GrantKind.EGRESS, name="api.test:443", actions=("connect",))


@pytest.mark.parametrize(
    ("ceiling", "runs"), [("egress api.test:443 connect", True), ("queue jobs send", False)]
)
def test_a_function_with_more_network_than_its_caller_allows_does_not_run(
    ceiling: str, runs: bool
) -> None:
    async def run() -> None:
        stage = Stage(grants=(EGRESS,), flow=flow(ceiling))
        try:
            if runs:
                stage.broker.serve(stage.admitted, 1e10, stage.invoke)
            else:
                with pytest.raises(RefusedError):
                    stage.broker.serve(stage.admitted, 1e10, stage.invoke)
        finally:
            stage.peer.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "entry", ["", "bucket", "bucket b", "bucket b fly", "cup b read", "bucket b read,", "* * *"]
)
def test_an_entry_of_allow_that_says_nothing_is_refused(entry: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_ceiling((entry,))


def test_learning_lets_through_what_is_not_granted_and_notes_it() -> None:
    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask("bucket.get", bucket="other", key="dir/a")
        assert "ok" in reply
        await stage.uses.flush()
        assert [(u.grant, u.action, u.prefix) for u in stage.store.used] == [
            ("bucket other", "read", "dir/")
        ]

    play(scene, grants=(), learn=True)


def test_uses_that_cannot_be_written_are_kept() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask("queue.send", b"1", queue="jobs")
        stage.store.fault = ConflictError("busy")
        await stage.uses.flush()
        await stage.ask("queue.send", b"1", queue="jobs")
        await stage.uses.flush()
        assert [u.count for u in stage.store.used] == [2]

    play(scene)


LABEL = '[["/name","event","/body/name"]]'
STORES: list[tuple[str, dict[str, Any], bytes]] = [
    ("bucket.put", {"bucket": "uploads", "key": "in/a"}, b"x"),
    ("bucket.commit", {"bucket": "uploads", "upload": "upload-1"}, b""),
    ("table.put", {"table": "people"}, b'{"id":"1"}'),
    ("queue.send", {"queue": "jobs"}, b"1"),
    ("topic.publish", {"topic": "news"}, b"1"),
]
STORING = (
    *GRANTS,
    Grant(kind=GrantKind.TABLE, name="people", actions=("put",)),
    Grant(kind=GrantKind.TOPIC, name="news", actions=("publish",)),
)


@pytest.mark.parametrize(("op", "fields", "body"), STORES)
def test_what_is_stored_is_kept_with_its_label(
    op: str, fields: dict[str, Any], body: bytes
) -> None:
    async def scene(stage: Stage) -> None:
        for given, label in (({"labels": LABEL}, LABEL.encode()), ({}, b"")):
            await stage.ask("bucket.begin", bucket="uploads", key="in/a")
            reply, _ = await stage.ask(op, body, **fields, **given)
            assert "ok" in reply
            assert stage.data.done[-1].labels == label  # type: ignore[attr-defined]

    play(scene, grants=STORING)


WRONG_LABELS = [
    "",
    "event",
    "{}",
    "[[]]",
    '[["/a","event"]]',
    '[["/a","event",1]]',
    "[" * 5000,
    7,
    [["/a", "event", "/a"]],
    '[["","event","' + "x" * 16384 + '"]]',
    '[["","event","' + "ü" * 8192 + '"]]',
]


@pytest.mark.parametrize("labels", WRONG_LABELS)
@pytest.mark.parametrize(("op", "fields", "body"), STORES)
def test_a_label_that_is_none_or_too_long_is_refused(
    op: str, fields: dict[str, Any], body: bytes, labels: object
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask("bucket.begin", bucket="uploads", key="in/a")
        done = len(stage.data.done)
        reply, _ = await stage.ask(op, body, **fields, labels=labels)
        assert reply["error"] == "invalid"
        assert len(stage.data.done) == done

    play(scene, grants=STORING)


@pytest.mark.parametrize("version", [0, -1, 1 << 31, 1 << 53, 1.5, "1", True])
def test_a_version_of_a_secret_that_the_vault_does_not_count_is_not_asked_of_it(
    version: Any,
) -> None:
    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask("secret.get", name="stripe", version=version)
        assert reply["error"] == "invalid"
        assert not stage.peer.instance.holds_secret

    play(scene)


@pytest.mark.parametrize("learn", [False, True])
def test_a_secret_that_is_held_back_is_given_to_nobody(learn: bool) -> None:
    """Also where everything that is not granted is let through."""
    held = {"stripe"}

    async def scene(stage: Stage) -> None:
        reply, _ = await stage.ask("secret.get", name="stripe")
        assert reply["error"] == "denied" and "held back" in reply["message"]
        assert not stage.peer.instance.holds_secret
        assert stage.store.denied[0].reason == "held back until it has another value"
        reply, _ = await stage.ask("bucket.get", bucket="uploads", key="in/a")
        assert "ok" in reply
        held.clear()
        reply, _ = await stage.ask("secret.get", name="stripe")
        assert "ok" in reply

    def withholds(project: str, function: str, name: str) -> bool:
        assert (project, function) == ("t", "f")
        return name in held

    play(scene, withholds=withholds, learn=learn)
