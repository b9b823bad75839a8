"""Whoever stole a token is to keep something that works when it was revoked."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs, urlsplit

from casemate.accounts import totp
from support.node import TestNode

from . import Attempts, tried
from .others import Somebody, nobody, owner

APP = """
import time
def handler(event, context):
    if event.get("do") == "sleep":
        time.sleep(event["seconds"])
    context.table("ran").put({"id": event["key"]})
    return {"ok": True}
"""
GRANTS = 'tables = [{ name = "ran", actions = ["put"] }]'
RESOURCES = '[table.ran]\nkey = "id"'
PASSWORD = secrets.token_urlsafe(18)
Kept = Callable[[], bool]
"""Tells whether what was kept works."""


def enrol(node: TestNode, name: str, code: str) -> Kept | None:
    """Take the first step; return the second, which tells whether the person is enrolled."""
    begun = nobody(node).ask("POST", "/enrol", {"name": name, "code": code, "password": PASSWORD})
    if begun.status_code != 200:
        return None
    uri = parse_qs(urlsplit(begun.json()["otpauth_uri"]).query)["secret"][0]
    secret = base64.b32decode(uri + "=" * (-len(uri) % 8))

    def confirm() -> bool:
        number = totp.code_at(secret, int(time.time() // 30))
        body = {"name": name, "code": code, "totp": number}
        return nobody(node).ask("POST", "/enrol/confirm", body).status_code == 200

    return confirm


def later(node: TestNode, name: str, code: str) -> Kept:
    def works() -> bool:
        step = enrol(node, name, code)
        return step is not None and step()

    return works


def ran(node: TestNode, key: str, wait: float = 6.0) -> bool:
    end = time.monotonic() + wait
    while time.monotonic() < end:
        got = owner(node).ask("POST", "/tables/t/ran/get", {"key": key})
        if got.status_code == 200 and key in got.text:
            return True
        time.sleep(0.3)
    return False


def call(stolen: Somebody, key: str, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    stolen.node.client.post(f"{stolen.node.url}/invoke/t/f", json={"key": key}, headers=named)


def child(*roles: str) -> Callable[[Somebody], Kept]:
    return lambda stolen: stolen.made(*roles, minutes=30).works


def deep(levels: int, *, whole: bool = True) -> Callable[[Somebody], Kept]:
    """Make a token with a token with a token; those between are revoked, or forgotten."""

    def keep(stolen: Somebody) -> Kept:
        line = [stolen]
        for level in range(levels):
            line.append(line[-1].made("owner", minutes=30 - level))
        if not whole:
            owner(stolen.node).ask("DELETE", f"/tokens/{line[-1].token}")
            line.append(line[-2].made("developer@t", minutes=10))
        return line[-1].works

    return keep


def racing(threads: int) -> Callable[[Somebody], Kept]:
    """Make tokens all the time while it is revoked."""

    def keep(stolen: Somebody) -> Kept:
        found: list[Somebody] = []

        def make() -> None:
            try:
                for _ in range(40):
                    found.append(stolen.made("developer@t", minutes=20))
            except AssertionError:
                return

        running = [threading.Thread(target=make) for _ in range(threads)]
        for thread in running:
            thread.start()
        time.sleep(0.15)

        def works() -> bool:
            for thread in running:
                thread.join()
            return any(one.works() for one in found)

        return works

    return keep


def added(role: str) -> Callable[[Somebody], Kept]:
    def keep(stolen: Somebody) -> Kept:
        name = f"p{secrets.token_hex(3)}"
        made = stolen.ask("POST", "/users", {"name": name, "roles": [role]})
        return later(stolen.node, name, made.json().get("code", ""))

    return keep


def begun(stolen: Somebody) -> Kept:
    """Have the first step of an enrolment done before."""
    name = f"p{secrets.token_hex(3)}"
    made = stolen.ask("POST", "/users", {"name": name, "roles": ["owner"]})
    return enrol(stolen.node, name, made.json()["code"]) or bool


def reset(stolen: Somebody) -> Kept:
    """Take over a person that somebody else had added."""
    name = f"p{secrets.token_hex(3)}"
    owner(stolen.node).ask("POST", "/users", {"name": name, "roles": ["developer@t"]})
    made = stolen.ask("POST", f"/users/{name}/reset")
    return later(stolen.node, name, made.json().get("code", ""))


def by_child(stolen: Somebody) -> Kept:
    """Add a person with a token that it made."""
    return added("owner")(stolen.made("owner", minutes=30))


def kept_call(**headers: str) -> Callable[[Somebody], Kept]:
    def keep(stolen: Somebody) -> Kept:
        key = secrets.token_hex(6)
        call(stolen, key, prefer="respond-async", casemate_delay="2", **headers)
        return lambda: ran(stolen.node, key)

    return keep


def many_kept(stolen: Somebody) -> Kept:
    """Keep calls that run one after the other, so that most begin after the end."""
    keys = [secrets.token_hex(6) for _ in range(3)]
    for key in keys:
        call(stolen, key, prefer="respond-async", casemate_key="one", casemate_delay="2")
    return lambda: ran(stolen.node, keys[-1])


def connection(stolen: Somebody) -> Kept:
    """Keep a connection open that has shown it."""
    stolen.works()
    return stolen.works


def running(stolen: Somebody) -> Kept:
    """Have a call run that makes something after the end: what runs ends, nothing new begins."""
    threading.Thread(target=lambda: call(stolen, "never")).start()
    return lambda: stolen.ask("GET", "/functions").status_code == 200


def spelled(change: Callable[[str], str]) -> Callable[[Somebody], Kept]:
    """Show it in another spelling, in case what is looked up is not what was revoked."""
    return lambda stolen: Somebody(stolen.node, change(stolen.node.key)).works


def dated(stolen: Somebody) -> Kept:
    """Call a function with it in a basic credential, in a query, in a cookie."""
    client = nobody(stolen.node).node.client
    key = stolen.node.key
    return lambda: any(
        client.get(f"{stolen.node.url}/api/v1/tokens{query}", headers=headers).status_code == 200
        for query, headers in (
            ("", {"authorization": "Basic " + base64.b64encode(f"x:{key}".encode()).decode()}),
            (f"?access_token={key}", {}),
            ("", {"cookie": f"session={key}; key={key}"}),
            ("", {"x-api-key": key}),
        )
    )


WAYS: dict[str, Callable[[Somebody], Kept]] = {
    "a child with the same rights": child("owner"),
    "a child of a project": child("developer@t"),
    "a child of a function": child("invoker@t/f"),
    "a child of a child": deep(2),
    "seven levels": deep(6),
    "a child of one whose parent's other child was revoked": deep(2, whole=False),
    "children made by 4 at the moment of the end": racing(4),
    "children made by 12 at the moment of the end": racing(12),
    "a person with the role of an owner": added("owner"),
    "a person with a role of a project": added("developer@t"),
    "a person whose enrolment has begun": begun,
    "a person that was reset": reset,
    "a person added by a child": by_child,
    "a call that is kept": kept_call(),
    "a call that is kept, with an idempotency key": kept_call(idempotency_key="a1"),
    "calls that wait for one another": many_kept,
    "a connection that stays open": connection,
    "beside a call that runs": running,
    "in capitals": spelled(str.upper),
    "with a space before it": spelled(lambda key: f" {key}"),
    "in another place": dated,
}


def attempts(node: TestNode) -> Attempts:
    """Steal an owner's token, keep something, have it revoked, use what was kept."""
    node.deploy(APP, grants=GRANTS, resources=RESOURCES, approve=True, limits='timeout = "20s"')

    def tries(way: Callable[[Somebody], Kept]) -> tuple[bool, str]:
        stolen = owner(node).made("owner")
        kept = way(stolen)
        answer = owner(node).ask("DELETE", f"/tokens/{stolen.token}")
        return kept(), f"revoked: {answer.status_code} {len(answer.json().get('line', []))}"

    for name, way in WAYS.items():
        yield tried(name, partial(tries, way))
