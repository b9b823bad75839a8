"""What an old version allowed is to hold although what is live forbids it."""

from __future__ import annotations

import time
from typing import Any

from support.node import TestNode

from . import Attempt, Attempts, shown
from .others import Somebody, nobody, owner

APP = """
def handler(event, context):
    sent = event.get("body") if "method" in event or "requestContext" in event else event
    found = {"version": %d}
    try:
        context.table("seen").put({"id": "v%d-" + str((event or {}).get("key", "x"))})
        found["wrote"] = True
    except Exception as error:
        found["wrote"] = type(error).__name__
    try:
        found["secret"] = context.secret("key")[::-1]  # else it is redacted
    except Exception as error:
        found["secret"] = type(error).__name__
    return found
"""
SECRET = "old-secret-value"
OPEN: dict[str, Any] = {
    "settings": 'public = true\ncontract = "any.json"',
    "files": {"any.json": "true"},
    "routes": '[[function.f.http]]\nmethod = "GET"\npath = "/vt/{id}"\n'
    '[function.f.cors]\norigins = ["https://a.example"]\n',
    "grants": 'secrets = ["key"]\ntables = [{ name = "seen", actions = ["put"] }]',
    "resources": '[table.seen]\nkey = "id"',
}
CLOSED: dict[str, str] = {}
QUALIFIERS = (
    *(
        "1",
        "01",
        "+1",
        "1.0",
        "v1",
        "V1",
        " 1",
        "1 ",
        "%31",
        "1%00",
        "1,2",
        "1@2",
        "-1",
        "0",
        "1e0",
    ),
    *(
        "\u0661",
        "\u00b9",
        "live",
        "LIVE",
        "latest",
        "previous",
        "old",
        "stable",
        "",
        "live@1",
        "$LATEST",
    ),
)


def asked(who: Somebody, qualifier: str, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = who.node.client.post(
        f"{who.node.url}/invoke/vt/f@{qualifier}", json={"key": "q"}, headers=named
    )
    return answer.status_code, answer.text[:120]


def version_one(text: str) -> bool:
    return '"version":1' in text.replace(" ", "")


def wrote(node: TestNode) -> bool:
    """Tell whether version 1 has written; forget it."""
    found = owner(node).ask("POST", "/tables/vt/seen/query", {}).text
    return '"v1-' in found


def attempts(node: TestNode) -> Attempts:
    """Have version 1 called, or its rights used, once version 2 has closed the function."""
    everybody, own = nobody(node), owner(node)
    invoker, developer = own.made("invoker@vt/f"), own.made("developer@vt")
    own.keeps("vt", "key", SECRET.encode())
    node.deploy(APP % (1, 1), project="vt", approve=True, **OPEN)
    developer.ask(
        "PUT", "/functions/vt/f/aliases/old", {"targets": [{"version": 1, "weight": 100}]}
    )
    before = everybody.node.client.post(f"{node.url}/invoke/vt/f", json={"key": "kept"}, headers={
        "prefer": "respond-async"})  # fmt: skip
    delayed = invoker.node.client.post(f"{node.url}/invoke/vt/f@1", json={"key": "delayed"}, headers={
        "prefer": "respond-async", "casemate-delay": "15"})  # fmt: skip
    replay = invoker.node.client.post(
        f"{node.url}/invoke/vt/f", json={"key": "replay"}, headers={"idempotency-key": "k1"}
    )
    time.sleep(1.5)
    node.deploy(APP % (2, 2), project="vt", resources=OPEN["resources"], **CLOSED)
    rows = own.ask("POST", "/tables/vt/seen/query", {}).text
    told: Any = (before.status_code, delayed.status_code, replay.status_code, len(rows))
    kept = told[:3] == (202, 202, 200) and "v1-kept" in rows and "v1-replay" in rows
    yield from shown("version 1 did what it was asked", kept, f"{told} {rows}")
    yield from shown("its secret was its own", SECRET[::-1] in replay.text, replay.text)
    status, text = asked(invoker, "2")
    live = status == 200 and '"version":2' in text.replace(" ", "")
    yield from shown("an invoker calls the version that is live", live, f"{status} {text}")
    for item in ("v1-kept", "v1-q", "v1-replay", "v1-x"):
        own.ask("POST", "/tables/vt/seen/delete", {"key": item})
    for qualifier in QUALIFIERS:
        status, text = asked(everybody, qualifier)
        yield Attempt(
            f"nobody: @{qualifier!a}", version_one(text) or status == 200, f"{status} {text}"
        )
        status, text = asked(invoker, qualifier)
        # By an alias it may: whoever pointed it chose the version. Its rights are the live one's.
        worked = version_one(text) and (qualifier != "old" or "DeniedError" not in text)
        yield Attempt(f"an invoker: @{qualifier!a}", worked, f"{status} {text}")
    for name, headers in {
        "kept for later": {"prefer": "respond-async"},
        "with a key": {"idempotency_key": "k2"},
        "with the key of a call before": {"idempotency_key": "k1"},
        "as a cloud event": {
            "ce_id": "1",
            "ce_source": "/x",
            "ce_type": "x",
            "ce_specversion": "1.0",
        },
        "another version in a header": {"x_version": "1", "x_amz_version": "1"},
    }.items():
        status, text = asked(everybody, "1", **headers)
        yield Attempt(f"nobody: {name}", status < 300, f"{status} {text}")
        status, text = asked(invoker, "1", **headers)
        yield Attempt(f"an invoker: {name}", status < 300, f"{status} {text}")
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        answer = everybody.node.client.request(
            method,
            f"{node.url}/vt/1",
            headers={"origin": "https://a.example", "access-control-request-method": "GET"},
        )
        worked = answer.status_code < 300 or "access-control-allow-origin" in answer.headers
        yield Attempt(f"its route: {method}", worked, f"{answer.status_code} {answer.text[:60]}")
    status, text = asked(own, "1")
    yield Attempt("its secret, called by an owner", SECRET[::-1] in text, f"{status} {text} {told}")
    yield Attempt("its table, called by an owner", '"wrote":true' in text.replace(" ", ""), text)
    status, text = asked(developer, "old")
    yield Attempt(
        "its rights by an alias to it",
        '"wrote":true' in text.replace(" ", "") or SECRET[::-1] in text,
        text,
    )
    status, text = asked(invoker, "old")
    yield Attempt(
        "an invoker by an alias to it",
        '"wrote":true' in text.replace(" ", "") or SECRET[::-1] in text,
        text,
    )
    time.sleep(16)
    seen = own.ask("POST", "/tables/vt/seen/query", {}).text
    yield Attempt("a call that was kept for it before", "v1-delayed" in seen, seen[:120])
    for name, path, body in (
        ("alias live to it", "PUT aliases/live", {"targets": [{"version": 1, "weight": 100}]}),
        ("a new alias to it", "PUT aliases/mine", {"targets": [{"version": 1, "weight": 100}]}),
        ("a rollback", "POST rollback", None),
        ("a trial", "POST trial", {"version": 1, "weight": 50, "minutes": 10}),
        (
            "its bundle again",
            "POST versions",
            {"digest": own.ask("GET", "/functions/vt/f").json()["versions"][0]["digest"]},
        ),
        ("a sample event for it", "POST triggers/x/fire", {"event": {}}),
    ):
        method, _, place = path.partition(" ")
        answer = invoker.ask(method, f"/functions/vt/f/{place}", body)
        yield Attempt(
            f"an invoker: {name}",
            answer.status_code < 300,
            f"{answer.status_code} {answer.text[:90]}",
        )
    said = developer.ask(
        "POST",
        "/functions/vt/f/versions",
        {
            "digest": own.ask("GET", "/functions/vt/f").json()["versions"][0]["digest"],
            "approve": True,
        },
    )
    yield Attempt(
        "a developer: its bundle again, with its grants",
        said.status_code < 300,
        f"{said.status_code} {said.text[:90]}",
    )
    own.ask("PUT", "/functions/vt/f/aliases/live", {"targets": [{"version": 2, "weight": 100}]})
    own.ask("DELETE", "/functions/vt/f/aliases/old")
    own.ask("PUT", "/functions/vt/f/aliases/old", {"targets": [{"version": 2, "weight": 100}]})
    gone = own.ask("DELETE", "/functions/vt/f/versions/1")
    for who, one in (("an owner", own), ("a developer", developer), ("nobody", everybody)):
        status, text = asked(one, "1")
        yield Attempt(
            f"{who}: when it was deleted ({gone.status_code})",
            status == 200 and gone.status_code < 300,
            f"{status} {text}",
        )
