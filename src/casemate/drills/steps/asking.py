"""Steps of who asks the node: without a right, without a token, and out of form."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import suppress

from casemate.drills.actors import Actors
from casemate.drills.events import PUSH
from casemate.model.errors import CasemateError
from casemate.operations.secrets import DeleteSecret

_DEAD = "Bearer cm_0123456789abcdef_" + "A" * 43
_FUNCTIONS = ("attacker", "greedy", "victim", "careless", "leaver", "inner", "holder", "honest")
_HOOK = "/hooks/{p}/victim/repository"


def without_right(actors: Actors) -> None:
    """Ask for all that a caller may not do."""
    for ask in (
        "GET /users", "POST /users", "PUT /policies/drill", "POST /vault/rotate", "GET /backup",
        "GET /journal", "PUT /route-claims/drill",
        "PUT /functions/{p}/careless/aliases/live", "GET /functions/{p}/victim/dead-letters/1",
        "POST /secrets/{p}/drill-key/lend",
    ):  # fmt: skip
        actors.caller(ask, _BODIES.get(ask.partition(" ")[2]) if "GET" not in ask else None)
    for number in range(7):
        actors.caller(f"DELETE /secrets/{{p}}/drill-{number}")
        actors.caller("GET /logs?project={p}")
        actors.caller("GET /errors?project={p}")
    for number in range(6):
        actors.caller(f"POST /tables/{{p}}/drill-{number}/query", {"key": "1"})
        actors.caller(f"GET /buckets/{{p}}/drill-{number}/objects")
    actors.caller("POST /functions/{p}/careless/versions", {"digest": "0" * 64})
    more = {"name": f"drill-{actors.mark}-more", "roles": [f"operator@{actors.project}"]}
    actors.developer("POST /tokens", more)


_BODIES: dict[str, object] = {
    "/users": {"name": "drill-nobody", "roles": ["invoker"]},
    "/policies/drill": {"text": "permit(principal, action, resource);"},
    "/route-claims/drill": {"prefixes": ["/drill"]},
    "/functions/{p}/careless/aliases/live": {"targets": [{"version": 1, "weight": 100}]},
    "/secrets/{p}/drill-key/lend": {"public_key": "A" * 44},
}


def dead_tokens(actors: Actors) -> None:
    """Come with a token that is none, again and again; knock at all functions."""
    for _ in range(205):
        actors.node.as_stranger("GET", "/api/v1/functions", headers={"authorization": _DEAD})
    for name in (*_FUNCTIONS, "drill-a", "drill-b", "drill-c"):
        actors.node.as_stranger("POST", f"/invoke/{actors.project}/{name}", json={})


def hooks(actors: Actors) -> None:
    """Send web hooks without the secret, with a wrong signature, and one again and again."""
    node, path = actors.node, _HOOK.replace("{p}", actors.project)
    body = json.dumps(PUSH).encode()
    headers = {"content-type": "application/json", "x-github-event": "push"}

    def send(signature: str, delivery: str) -> None:
        more = {"x-hub-signature-256": f"sha256={signature}", "x-github-delivery": delivery}
        node.as_stranger("POST", path, content=body, headers={**headers, **more})

    send("0" * 64, "1")
    key = actors.mark * 4
    node.put_secret(actors.project, "hook", key.encode())
    try:
        for number in range(11):
            send("0" * 64, f"{actors.mark}-{number}")
        right = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        for _ in range(22):
            send(right, f"{actors.mark}-same")
    finally:
        with suppress(CasemateError):
            node.call(DeleteSecret(project=actors.project, name="hook"))


_RUBBISH = (
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
)
_LONG = b"GET / HTTP/1.1\r\nhost: a\r\nx-filler: " + b"x" * 100_000 + b"\r\n\r\n"


def rubbish(actors: Actors) -> None:
    """Send what is no HTTP, what means two things, and heads that are too large."""
    for number in range(210):
        actors.node.send_raw(_RUBBISH[number % len(_RUBBISH)])
    for _ in range(22):
        actors.node.send_raw(_LONG)


def contracts(actors: Actors) -> None:
    """Send what contracts forbid: often, in many forms, and to many functions."""
    for number in range(55):
        actors.invoke("strict-a", {"how": "well", f"a{number % 20}": number})
    for name in ("strict-b", "strict-c", "strict-d", "strict-e"):
        actors.invoke(name, {"other": 1})
    for _ in range(12):
        actors.invoke("careless", {"how": "we\0ll"})
    actors.invoke("strict-e", {"how": "well", "$gt": 1})
