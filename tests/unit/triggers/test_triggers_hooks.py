"""Web hooks: what proves a sender, what becomes of it, and how those end that prove nothing."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from triggers_hooks import (
    GIT_PUSH,
    GITLAB_PUSH,
    PUSH,
    SECRET,
    HookNode,
    gitea,
    github,
    gitlab,
    hook_version,
    mac,
    of_one,
    record,
    repository,
    s3,
    standard,
    storage,
)

from casemate.data.errors import ForgottenError, LimitError
from casemate.model.account import PolicyFile
from casemate.model.denial import DenialKind
from casemate.model.errors import UnavailableError
from casemate.model.trigger import TriggerKind
from casemate.triggers.hooks import endpoint
from casemate.triggers.hooks.failures import BURST, MAX_ENTRIES, PER_SECOND, Failures
from casemate.triggers.hooks.interface import CLOCK_TOLERANCE
from casemate.triggers.hooks.s3 import S3


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(body())


def answer(response: Any) -> dict[str, Any]:
    return json.loads(response.body)


SENDERS = {
    "github": lambda now: github(PUSH),
    "gitea": lambda now: gitea(PUSH),
    "gitlab": lambda now: gitlab(GITLAB_PUSH),
    "gitlab signed": lambda now: standard(GITLAB_PUSH, at=now),
    "git": lambda now: standard(GIT_PUSH, at=now),
}


@pytest.mark.parametrize("sender", SENDERS)
def test_a_push_is_kept_once_and_then_accepted(sender) -> None:
    async def body() -> None:
        node = of_one(repository(sender.split()[0]))
        headers, content = SENDERS[sender](node.now)
        response = await node.send(headers, content)
        assert response.status == 202
        ((project, kind, function, message),) = node.data.kept
        assert (project, kind, function) == ("shop", "inbox", "tell")
        assert answer(response) == {"id": message.invocation}
        assert message.expires_at == node.now + 6 * 3600
        (event,) = node.data.events()
        assert event.kind is TriggerKind.REPOSITORY
        assert event.type == "casemate.repository.push"
        assert event.trigger == "code"
        assert event.subject == "refs/heads/main"
        assert event.source.endswith(("example/shop", "shop.git"))
        assert bytes(event.data) == content
        detail = dict(event.detail)
        assert detail.pop("repository") in event.source
        assert detail == {
            "provider": sender.split()[0],
            "event": "push",
            "branch": "main",
            "commit": json.loads(content)["after"],
            "sender": "ada",
            "delivery": event.id,
        }
        assert node.denied == []

        again = await node.send(headers, content)
        assert again.status == 200
        assert answer(again) == {"id": message.invocation, "duplicate": True}
        assert len(node.data.kept) == 1
        (denial,) = node.denied
        assert denial.reason == "a repeated delivery"
        assert denial.principal == "trigger:shop/tell/code"

    run(body)


@pytest.mark.parametrize("sender", ["github", "gitea"])
def test_a_replay_under_another_id_or_name_is_seen_by_its_signature(sender) -> None:
    async def body() -> None:
        node = of_one(repository(sender))
        headers, content = SENDERS[sender](node.now)
        assert (await node.send(headers, content)).status == 202
        name = next(n for n in headers if n.endswith("Delivery"))
        event = next(n for n in headers if n.endswith("Event"))
        signature = next(n for n in headers if "Signature" in n)
        for change in (
            {name: "another"},
            {event: "create"},
            {signature: headers[signature].replace("a", "A").replace("SHA", "sha")},
        ):
            if signature in change:
                change[signature] = change[signature].replace("shA256", "sha256")
            assert answer(await node.send(headers | change, content))["duplicate"]
        assert len(node.data.kept) == 1

    run(body)


def test_a_replay_is_seen_although_how_it_ended_is_forgotten() -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        assert (await node.send(*github(PUSH))).status == 202
        node.data.forgotten.add(node.data.kept[0][3].invocation)
        assert answer(await node.send(*github(PUSH)))["duplicate"]
        assert len(node.data.kept) == 1
        assert [denial.reason for denial in node.denied] == ["a repeated delivery"]

    run(body)


@pytest.mark.parametrize("sender", SENDERS)
def test_nothing_but_the_right_proof_is_taken(sender) -> None:
    async def body() -> None:
        node = of_one(repository(sender.split()[0]))
        headers, content = SENDERS[sender](node.now)
        proofs = [n for n in headers if "ignature" in n or "oken" in n]
        wrong: list[dict[str, str]] = [{n: v for n, v in headers.items() if n not in proofs}]
        for name in proofs:
            right = headers[name]
            flipped = right[:-3] + ("A" if right[-3] != "A" else "B") + right[-2:]
            values = ["", "sha256=", "v1,", "0" * 64, "v1," + "A" * 43 + "=", right[:-1], flipped]
            wrong += [{**headers, name: value} for value in values if value != right]
        for attempt in wrong:
            node.passed += 100
            before = len(node.nowhere)
            response = await node.send(attempt, content)
            assert response.status == 401, attempt
            assert node.nowhere[before:] == [True], "answered as what is not there"
        if sender not in ("gitlab",):
            node.passed += 100
            assert (await node.send(headers, content + b" ")).status == 401
        assert node.data.kept == []
        assert {d.kind for d in node.denied} == {DenialKind.AUTHENTICATION}
        assert {d.principal for d in node.denied} == {"anonymous:public"}
        told = "".join(map(repr, node.denied))
        assert SECRET.decode() not in told
        assert "till" not in told

    run(body)


def test_nothing_is_parsed_before_it_is_proven(monkeypatch) -> None:
    def parse(*_: Any) -> Any:
        raise AssertionError("parsed")

    async def body() -> None:
        for provider, made in (("github", github), ("gitea", gitea), ("gitlab", gitlab)):
            node = of_one(repository(provider))
            monkeypatch.setattr(f"casemate.triggers.hooks.{provider}.json_object", parse)
            headers, content = made(PUSH, key=b"not the secret")
            assert (await node.send(headers, content)).status == 401
            assert len(node.vault.asked) == 1

    run(body)


@pytest.mark.parametrize("off", [-CLOCK_TOLERANCE - 2, CLOCK_TOLERANCE + 2, 1e9])
def test_what_was_signed_long_ago_or_will_be_is_refused_unseen(off) -> None:
    async def body() -> None:
        node = of_one(repository("git"))
        headers, content = standard(GIT_PUSH, at=node.now + off)
        assert (await node.send(headers, content)).status == 401
        assert node.vault.asked == []
        assert "signed too long ago" in node.denied[0].reason

    run(body)


@pytest.mark.parametrize(("provider", "payload"), [("git", GIT_PUSH), ("gitlab", GITLAB_PUSH)])
def test_what_may_have_come_before_is_refused_and_its_sender_told(provider, payload) -> None:
    async def body() -> None:
        node = of_one(repository(provider))
        headers, content = standard(payload, at=node.now)
        assert (await node.send(headers, content)).status == 202
        (kept,) = node.data.kept
        assert kept[3].made_after == int(node.now) - CLOCK_TOLERANCE
        node.data.kept.clear()
        node.data.fault = ForgottenError()
        answered = await node.send(headers, content)
        assert answered.status == 409 and b"delivered again" in answered.body
        assert "no longer remembers" in node.denied[0].reason
        assert node.hooks._failures._left == {}, "its sender has proven itself"

    run(body)


def test_without_a_signed_time_nothing_tells_when_it_was_made() -> None:
    async def body() -> None:
        for provider, made in (("github", github), ("gitea", gitea), ("gitlab", gitlab)):
            node = of_one(repository(provider))
            payload = GITLAB_PUSH if provider == "gitlab" else PUSH
            assert (await node.send(*made(payload))).status == 202
            assert node.data.kept[0][3].made_after is None

    run(body)


def test_id_and_time_are_signed_too() -> None:
    async def body() -> None:
        node = of_one(repository("git"))
        headers, content = standard(GIT_PUSH, at=node.now)
        for change in ({"webhook-id": "other"}, {"webhook-timestamp": str(int(node.now) - 1)}):
            assert (await node.send(headers | change, content)).status == 401

    run(body)


def test_one_of_several_signatures_is_enough_and_few_are_looked_at() -> None:
    async def body() -> None:
        node = of_one(repository("git"))
        headers, content = standard(GIT_PUSH, at=node.now)
        other = "v1," + "A" * 43 + "="
        right = headers["webhook-signature"]
        many = {**headers, "webhook-signature": f"v1a,zzz {other} {right}"}
        assert (await node.send(many, content)).status == 202
        flood = {**headers, "webhook-signature": f"{other} " * 500 + right}
        asked = len(node.vault.asked)
        assert (await node.send(flood, content)).status == 401
        assert len(node.vault.asked) - asked <= 8

    run(body)


def test_the_signature_alone_counts_where_there_is_one() -> None:
    async def body() -> None:
        node = of_one(repository("gitlab"))
        headers, content = standard(GITLAB_PUSH, at=node.now, key=b"not the secret")
        headers["X-Gitlab-Token"] = SECRET.decode()
        assert (await node.send(headers, content)).status == 401

    run(body)


def test_another_providers_proof_is_none() -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        for headers, content in (gitea(PUSH), gitlab(PUSH), standard(GIT_PUSH, at=node.now), s3()):
            assert (await node.send(headers, content)).status == 401

    run(body)


def test_a_secret_that_is_not_set_lets_nobody_in() -> None:
    async def body() -> None:
        node = of_one(repository("github"), repository("gitlab", name="lab"))
        node.vault.secrets.clear()
        for key in (SECRET, b"", b"\0"):
            headers, content = github(PUSH, key=key or b"x")
            if not key:
                headers["X-Hub-Signature-256"] = f"sha256={mac(content, b'').hex()}"
            assert (await node.send(headers, content)).status == 401
        headers, content = gitlab(GITLAB_PUSH)
        assert (await node.send(headers, content, path="/hooks/shop/tell/lab")).status == 401
        assert all("hook-key is not set" in denial.reason for denial in node.denied)

    run(body)


def test_a_vault_that_is_gone_lets_nobody_in() -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        node.vault.fault = UnavailableError()
        response = await node.send(*github(PUSH))
        assert response.status == 503
        assert dict(response.headers)[b"retry-after"] == b"5"
        assert node.data.kept == []

    run(body)


@pytest.mark.parametrize("fault", [LimitError("full"), UnavailableError()])
def test_what_cannot_be_kept_is_not_accepted(fault) -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        node.data.fault = fault
        assert (await node.send(*github(PUSH))).status == 503
        node.data.fault = None
        assert (await node.send(*github(PUSH))).status == 202, "it may be sent again"

    run(body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/hooks/shop/tell/code"),
        ("PUT", "/hooks/shop/tell/code"),
        ("POST", "/hooks/shop/tell/other"),
        ("POST", "/hooks/shop/other/code"),
        ("POST", "/hooks/mail/tell/code"),
        ("POST", "/hooks/shop/tell"),
        ("POST", "/hooks/shop/tell/code/"),
        ("POST", "/hooks/shop/tell/co%64e"),
        ("POST", "/hooks/shop/tell/../code"),
        ("POST", "/hooks/Shop/tell/code"),
        ("POST", "/hooks/"),
    ],
)
def test_what_is_no_hook_leads_nowhere(method, path) -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        assert (await node.send(*github(PUSH), method=method, path=path)).status == 401
        assert node.nowhere == [False]
        assert node.vault.asked == []

    run(body)


def test_hooks_follow_what_is_live() -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        node.hooks.replace([hook_version(repository("github", name="new"), number=2)])
        for name, status in (("code", 401), ("new", 202)):
            assert (await node.send(*github(PUSH), path=f"/hooks/shop/tell/{name}")).status == (
                status
            )
        node.hooks.replace([])
        assert (await node.send(*github(PUSH), path="/hooks/shop/tell/new")).status == 401

    run(body)


def test_a_ping_is_answered_and_keeps_nothing() -> None:
    async def body() -> None:
        node = of_one(repository("github", events=("push",)), repository("git", name="plain"))
        response = await node.send(*github({"zen": "Keep it logically awesome."}, event="ping"))
        assert (response.status, answer(response)) == (200, {"pong": True})
        ping = standard({"event": "ping"}, at=node.now)
        assert (await node.send(*ping, path="/hooks/shop/tell/plain")).status == 200
        unsigned = github({"zen": "..."}, event="ping", key=b"wrong")
        assert (await node.send(*unsigned)).status == 401
        assert node.data.kept == []

    run(body)


PULL = {
    "action": "opened",
    "pull_request": {"base": {"ref": "main"}, "head": {"ref": "topic", "sha": "c" * 40}},
}


@pytest.mark.parametrize(
    ("filters", "event", "payload", "status"),
    [
        ({"events": ("push",)}, "push", PUSH, 202),
        ({"events": ("push",)}, "pull_request", PULL, 200),
        ({"events": ("pull_request", "push")}, "pull_request", PULL, 202),
        ({"branches": ("main",)}, "push", PUSH, 202),
        ({"branches": ("release/*",)}, "push", PUSH, 200),
        ({"branches": ("release/*",)}, "push", {**PUSH, "ref": "refs/heads/release/1.2"}, 202),
        ({"branches": ("mai",)}, "push", PUSH, 200),
        ({"branches": ("m?in", "[m]ain")}, "push", PUSH, 200),
        ({"branches": ("*",)}, "push", PUSH, 202),
        ({"branches": ("*",)}, "push", {**PUSH, "ref": "refs/tags/main"}, 200),
        ({"branches": ("main",)}, "pull_request", PULL, 202),
        ({"branches": ("topic",)}, "pull_request", PULL, 200),
        ({"branches": ("main",)}, "issues", {"action": "opened"}, 202),
        ({"branches": ("main",)}, "create", {"ref": "main", "ref_type": "tag"}, 200),
        ({"branches": ("main",)}, "create", {"ref": "main", "ref_type": "branch"}, 202),
        ({"branches": ("main",)}, "workflow_run", {"workflow_run": {"head_branch": "main"}}, 202),
    ],
)
def test_filters_by_event_and_branch(filters, event, payload, status) -> None:
    async def body() -> None:
        node = of_one(repository("github", **filters))
        response = await node.send(*github(payload, event=event))
        assert response.status == status, response.body
        assert len(node.data.kept) == (1 if status == 202 else 0)

    run(body)


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({"object_kind": "merge_request", "object_attributes": {"target_branch": "main"}}, 202),
        ({"object_kind": "merge_request", "object_attributes": {"target_branch": "x"}}, 200),
        ({"object_kind": "pipeline", "object_attributes": {"ref": "main", "tag": False}}, 202),
        ({"object_kind": "pipeline", "object_attributes": {"ref": "main", "tag": True}}, 200),
        ({"object_kind": "tag_push", "ref": "refs/tags/main"}, 200),
        ({"event_name": "repository_update"}, 202),
        ({"object_kind": "push"}, 400),
        ({"object_kind": 7}, 400),
        ({}, 400),
    ],
)
def test_what_gitlab_tells(payload, status) -> None:
    async def body() -> None:
        node = of_one(repository("gitlab", branches=("main",)))
        assert (await node.send(*gitlab(payload))).status == status

    run(body)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{", b"\xff", b'"text"', b"[" * 100_000, b'{"a":"\xff"}']
)
@pytest.mark.parametrize("provider", ["github", "gitea"])
def test_rubbish_of_a_proven_sender_is_refused_and_not_quoted(provider, content) -> None:
    async def body() -> None:
        node = of_one(repository(provider))
        headers, _ = SENDERS[provider](node.now)
        name = next(n for n in headers if "Signature" in n)
        headers[name] = headers[name].partition("=")[0] + "=" if "=" in headers[name] else ""
        headers[name] += mac(content).hex()
        response = await node.send(headers, content)
        assert response.status == 400, response.body
        (denial,) = node.denied
        assert denial.kind is DenialKind.REQUEST

    run(body)


def test_an_event_whose_name_is_not_signed_must_fit_its_body() -> None:
    """The header with the name is not signed: who changes it must not pass off another's body."""

    async def body() -> None:
        node = of_one(repository("github", events=("push",)))
        headers, content = github({"action": "opened", "issue": {}}, event="issues")
        refused = await node.send({**headers, "X-GitHub-Event": "push"}, content)
        assert refused.status == 400
        assert b"has `ref`, `before` and `after`" in bytes(refused.body)
        for name in ("", "../push", "push\x7f", "a" * 65, "Push"):
            assert (await node.send({**headers, "X-GitHub-Event": name}, content)).status == 400

    run(body)


def test_github_may_send_a_form() -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        content = urlencode({"payload": json.dumps({**PUSH, "note": "ä+b %"})}).encode()
        headers = {
            "X-GitHub-Event": "push",
            "X-Hub-Signature-256": f"sha256={mac(content).hex()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        assert (await node.send(headers, content)).status == 202
        (event,) = node.data.events()
        assert json.loads(bytes(event.data))["note"] == "ä+b %"
        for bad in (b"payload=", b"x=1", b"a&b", b"payload=%ff", b"a=1&b=2&c=3&d=4&e=5"):
            headers["X-Hub-Signature-256"] = f"sha256={mac(bad).hex()}"
            assert (await node.send(headers, bad)).status == 400

    run(body)


def test_a_body_larger_than_the_function_takes() -> None:
    async def body() -> None:
        node = of_one(repository("github"), limit=200)
        assert (await node.send(*github(PUSH))).status == 413
        assert (await node.send(*github(PUSH, key=b"wrong"))).status == 401, "and tells no stranger"

    run(body)


def test_a_policy_that_forbids_it_is_asked_before_it_is_kept() -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        text = 'forbid (principal == Casemate::Trigger::"shop/tell/code", action, resource);'
        file = PolicyFile(name="no-hooks", text=text, changed_at=0.0, changed_by="user:ada")
        node.policy.activate(node.policy.prepare([file]))
        assert (await node.send(*github(PUSH))).status == 403
        (denial,) = node.denied
        assert denial.kind is DenialKind.AUTHORIZATION
        assert denial.principal == "trigger:shop/tell/code"
        assert "no-hooks" in denial.reason
        assert node.data.kept == []

    run(body)


def test_an_internal_function_has_hooks() -> None:
    async def body() -> None:
        node = HookNode(repository("github"), internal=True)
        assert (await node.send(*github(PUSH))).status == 202

    run(body)


# -- those who go on failing ---------------------------------------------------------------------


def test_who_fails_too_often_waits_whether_there_is_a_hook_or_not() -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        node.vault.secrets = {("shop", "hook-key"): b"word of a book"}
        wrong, right = github(PUSH, key=b"wrong"), github(PUSH, key=b"word of a book")
        for path in ("/hooks/shop/tell/code", "/hooks/shop/tell/none"):
            statuses = [(await node.send(*wrong, path=path)).status for _ in range(25)]
            assert statuses == [401] * 20 + [429] * 5
        assert len(node.vault.asked) == 20 + 5, "five times only how long the secret is"
        response = await node.send(*right)
        assert response.status == 429
        assert int(dict(response.headers)[b"retry-after"]) >= 1
        assert (await node.send(*right, peer="198.51.100.9")).status == 202
        node.passed += 2.1
        assert (await node.send(*wrong)).status == 401
        assert (await node.send(*wrong)).status == 429
        node.passed += 1000
        assert [(await node.send(*wrong)).status for _ in range(21)] == [401] * 20 + [429]

    run(body)


@pytest.mark.parametrize("provider", ["github", "gitea", "gitlab", "git", "s3"])
def test_who_has_a_forge_send_what_is_wrong_keeps_out_nothing_right(provider: str) -> None:
    """Forges send for all their users from the same addresses; so does an unknown proxy."""
    make: Any = {
        "github": lambda key, n: github({**PUSH, "n": n}, key=key),
        "gitea": lambda key, n: gitea({**PUSH, "n": n}, key=key),
        "gitlab": lambda key, n: gitlab({**GITLAB_PUSH, "n": n}, key=key),
        "git": lambda key, n: standard(GIT_PUSH, delivery=f"msg_{n}", at=time.time(), key=key),
        "s3": lambda key, n: s3(record(key=f"k{n}"), key=key),
    }[provider]

    async def body() -> None:
        hook = storage() if provider == "s3" else repository(provider)
        node = of_one(hook)
        path = f"/hooks/shop/tell/{hook.name}"
        statuses = [(await node.send(*make(b"wrong", n), path=path)).status for n in range(40)]
        assert statuses == [401] * 20 + [429] * 20
        for number in range(100, 130):
            assert (await node.send(*make(SECRET, number), path=path)).status in (200, 202)
        # What is wrong looks after it as a path does that there is not.
        there = await node.send(*make(b"wrong", 50), path=path)
        nowhere = await node.send(*make(b"wrong", 50), path="/hooks/shop/tell/none")
        assert (there.status, nowhere.status) == (429, 401)  # paths are counted each by itself

    run(body)


def test_those_who_failed_take_no_turn_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        for _ in range(20):
            await node.send(*github(PUSH, key=b"wrong"))
        proves, busy = node.vault.verify_hmac, asyncio.Event()

        async def slow(*asked: Any) -> bool:
            await busy.wait()
            return await proves(*asked)

        monkeypatch.setattr(node.vault, "verify_hmac", slow)
        flood = [
            asyncio.ensure_future(node.send(*github({**PUSH, "n": n}, key=b"wrong")))
            for n in range(2 * endpoint.MAX_DOUBTED)
        ]
        await asyncio.sleep(0.01)
        answered = [one.result().status for one in flood if one.done()]
        assert answered == [429] * (len(flood) - endpoint.MAX_DOUBTED_OF_SENDER)
        assert node.hooks._waiting == 1, "one after the other"
        monkeypatch.setattr(node.vault, "verify_hmac", proves)
        assert (await node.send(*github(PUSH), peer="198.51.100.9")).status == 202
        busy.set()
        assert {(await one).status for one in flood} == {429}
        assert not node.hooks._doubted

    run(body)


def test_who_is_right_is_never_made_to_wait() -> None:
    async def body() -> None:
        node = of_one(repository("github"))
        for number in range(60):
            assert (await node.send(*github({**PUSH, "n": number}))).status == 202

    run(body)


def test_a_flood_of_paths_does_not_wash_away_the_count_of_one() -> None:
    now = [0.0]
    failures = Failures(lambda: now[0])
    for _ in range(int(BURST)):
        failures.count("attacked")
    for number in range(MAX_ENTRIES * 2):
        failures.count(f"made up {number}")
    assert failures.wait("attacked") == pytest.approx(1 / PER_SECOND)
    assert failures.wait(f"made up {MAX_ENTRIES * 2 - 1}") == 0
    assert len(failures._left) <= MAX_ENTRIES


def test_only_so_many_are_proven_at_once(monkeypatch) -> None:
    monkeypatch.setattr(endpoint, "MAX_WAITING", 3)

    async def body() -> None:
        node = of_one(repository("github"))
        busy = asyncio.Event()

        async def slow(*_: Any) -> bool:
            await busy.wait()
            return True

        node.vault.verify_hmac = slow  # type: ignore[method-assign]
        waiting = [asyncio.ensure_future(node.send(*github({**PUSH, "n": n}))) for n in range(3)]
        await asyncio.sleep(0.01)
        assert (await node.send(*github(PUSH))).status == 503
        busy.set()
        assert [(await one).status for one in waiting] == [202] * 3
        assert (await node.send(*github(PUSH))).status == 202

    run(body)


# -- S3 ------------------------------------------------------------------------------------------


async def notify(node: HookNode, *records: object, key: bytes = SECRET) -> Any:
    return await node.send(*s3(*records, key=key), path="/hooks/shop/tell/files")


def test_each_record_is_an_event() -> None:
    async def body() -> None:
        node = of_one(storage())
        other = record(key="b", eventName="ObjectRemoved:Delete")
        response = await notify(node, record(), other)
        assert response.status == 202
        ids = answer(response)["ids"]
        assert [kept[3].invocation for kept in node.data.kept] == ids
        first, second = node.data.events()
        assert first.kind is TriggerKind.S3
        assert first.type == "casemate.s3.message"
        assert first.subject == "in/a photo+1.jpg"
        assert first.time == 1795600800.0
        assert json.loads(bytes(first.data)) == record()
        assert first.detail == {
            "event": "s3:ObjectCreated:Put",
            "bucket": "uploads",
            "key": "in/a photo+1.jpg",
            "size": 5,
            "content_type": "image/jpeg",
            "etag": "5d41402abc4b2a76b9719d911017c592",
            "version": "",
            "sequencer": "17A5D0C5D5C1A6E3",
        }
        assert second.detail["event"] == "s3:ObjectRemoved:Delete"

    run(body)


def test_a_record_that_comes_again_is_the_same_event() -> None:
    async def body() -> None:
        node = of_one(storage())
        later = record()
        later["s3"] = json.loads(json.dumps(later["s3"]).replace("17A5", "17A6"))
        assert (await notify(node, record())).status == 202
        assert answer(await notify(node, record()))["duplicate"]
        assert (await notify(node, record(), later)).status == 202
        assert len(node.data.kept) == 2

    run(body)


@pytest.mark.parametrize(
    ("key", "decoded"),
    [("a%2520b", "a%20b"), ("a%2Fb", "a/b"), ("%C3%A4", "ä"), ("a+b", "a b"), ("..%2Fx", "../x")],
)
def test_keys_are_decoded_once(key, decoded) -> None:
    async def body() -> None:
        node = of_one(storage())
        assert (await notify(node, record(key=key))).status == 202
        assert node.data.events()[0].detail["key"] == decoded

    run(body)


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"events": ("s3:ObjectCreated:*",)}, True),
        ({"events": ("s3:ObjectRemoved:*",)}, False),
        ({"events": ("s3:ObjectCreated:Put",)}, True),
        ({"prefix": "in/"}, True),
        ({"prefix": "in/a+"}, False),
        ({"suffix": "+1.jpg"}, True),
        ({"suffix": ".png"}, False),
    ],
)
def test_filters_by_event_prefix_and_suffix(filters, kept) -> None:
    async def body() -> None:
        node = of_one(storage(**filters))
        assert (await notify(node, record())).status == (202 if kept else 200)
        assert bool(node.data.kept) is kept

    run(body)


@pytest.mark.parametrize(
    "records",
    [
        [],
        [None],
        [{}],
        [record(key="")],
        [record(key="%ff")],
        [record(key="%41" * 1025)],
        [record(s3={"bucket": {"name": "b"}})],
        [record(), record(eventName=3)],
        [record()] * 1001,
    ],
)
def test_rubbish_from_a_storage_server(records) -> None:
    async def body() -> None:
        node = of_one(storage())
        assert (await notify(node, *records)).status == 400
        assert node.data.kept == [], "not even those that were right"

    run(body)


@pytest.mark.parametrize(("count", "elsewhere"), [(1, False), (1000, True)])
def test_many_long_keys_are_not_read_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, count: int, elsewhere: bool
) -> None:
    read_on: list[bool] = []
    notices = S3.notices

    def noted(self: S3, head: Any, body: bytes) -> Any:
        read_on.append(threading.current_thread() is threading.main_thread())
        return notices(self, head, body)

    monkeypatch.setattr(S3, "notices", noted)

    async def body() -> None:
        node = of_one(storage())
        many = [record(key=f"{n}" + "%41" * 1000) for n in range(count)]
        assert (await notify(node, *many)).status == 202
        assert len(node.data.kept) == count

    run(body)
    assert read_on == [not elsewhere]


def test_a_time_from_the_future_or_before_1970_is_set_to_when_it_came() -> None:
    """One before the year 1 had every delivery to a function in AWS's form fail."""

    async def body() -> None:
        node = of_one(storage())
        early = ("0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z")
        for when in (*early, "2999-01-01T00:00:00Z", "no time", "2026-11-25T10:00:00"):
            await notify(node, record(key=when, eventTime=when))
        assert [event.time for event in node.data.events()] == [node.now] * 5

    run(body)


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer ", "Basic x", SECRET.decode()])
def test_what_is_no_bearer_token(shown) -> None:
    async def body() -> None:
        node = of_one(storage())
        _, content = s3(record())
        response = await node.send({"Authorization": shown}, content, path="/hooks/shop/tell/files")
        assert response.status == 401
        assert node.vault.asked == []
        assert (await notify(node, record(), key=b"wrong")).status == 401

    run(body)


def test_amazons_test_event_is_a_ping() -> None:
    async def body() -> None:
        node = of_one(storage())
        content = b'{"Service":"Amazon S3","Event":"s3:TestEvent"}'
        headers = {"Authorization": f"bearer {SECRET.decode()}"}
        response = await node.send(headers, content, path="/hooks/shop/tell/files")
        assert answer(response) == {"pong": True}

    run(body)


KEYS = ["ref", "after", "before", "repository", "Records", "s3", "object", "key", "object_kind"]
KEYS += ["project", "sender", "event", "pull_request"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(KEYS),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(["github", "gitea", "gitlab", "git", "s3"]),
    st.sampled_from(["push", "create", "pull_request", "ping", "issues"]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_a_proven_sender_sends_is_kept_or_refused(payload, provider, event) -> None:
    async def body() -> None:
        node = of_one(storage() if provider == "s3" else repository(provider))
        path = "/hooks/shop/tell/files" if provider == "s3" else "/hooks/shop/tell/code"
        made = {
            "github": lambda: github(payload, event=event),
            "gitea": lambda: gitea(payload, event=event),
            "gitlab": lambda: gitlab(payload),
            "git": lambda: standard(payload, at=node.now),
            "s3": lambda: ({"Authorization": f"Bearer {SECRET.decode()}"}, json.dumps(payload)),
        }[provider]()
        content = made[1] if isinstance(made[1], bytes) else made[1].encode()
        response = await node.send(made[0], content, path=path)
        assert response.status in (200, 202, 400)
        assert (response.status == 202) is bool(node.data.kept)
        for kept in node.data.kept:
            msgspec.json.decode(kept[3].body)

    run(body)
