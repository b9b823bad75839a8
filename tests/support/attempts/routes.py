"""Routes across projects: one project is to answer, cover or stand before what is another's."""

from __future__ import annotations

import socket
import threading

from casemate.model.function import HttpTrigger
from support.node import TestNode

from . import Attempt, Attempts, shown
from .others import Somebody, nobody, owner

APP = """
def handler(event, context):
    return {"status": 200, "headers": {"x-of": "%s"}, "body": "%s"}
"""
ROUTE = '[[function.{0}.http]]\nmethod = "{1}"\npath = "{2}"\n'
VICTIMS = (
    *("/payments/1", "/payments/1/2", "/payments", "/payments/", "//payments/1", "/payments//1"),
    *("/%70ayments/1", "/payments%2f1", "/payments/%31", "/./payments/1", "/x/../payments/1"),
    *(
        "/payments;a=b/1",
        "/payments/1;a=b",
        "/payments/1?x=/shopb",
        "/payments\\1",
        "/payments/1%00",
    ),
    *(
        "/.well-known/acme-challenge/t",
        "/.well-known/security.txt",
        "/api/v1/whoami",
        "/invoke/shopa/f",
    ),
    *(
        "/hooks/shopa/f/x",
        "/identity/x",
        "/metrics",
        "/health",
        "/healthz",
        "/dashboard",
        "/dashboard/",
    ),
)
"""What others ask: none of it may be answered by the attacker."""
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "DELETE")
FORGED = {
    # name: (method, template)
    "the same template": ("GET", "/payments/{id}"),
    "a literal where the other has a parameter": ("GET", "/payments/1"),
    "a rest": ("GET", "/payments/{rest...}"),
    "a rest of the root": ("*", "/{rest...}"),
    "two parameters": ("GET", "/{a}/{b}"),
    "another method": ("DELETE", "/payments/{id}"),
    "all methods": ("*", "/payments/{id}"),
    "HEAD, where the other has GET": ("HEAD", "/payments/{id}"),
    "OPTIONS, where the other answers preflights": ("OPTIONS", "/payments/{id}"),
    "an encoded letter": ("GET", "/%70ayments/{id}"),
    "a slash that is encoded": ("GET", "/x%2f..%2fpayments/{id}"),
    "two slashes": ("GET", "//payments/{id}"),
    "an empty segment": ("GET", "/payments//{id}"),
    "a dot": ("GET", "/./payments/{id}"),
    "two dots": ("GET", "/shopb/../payments/{id}"),
    "a slash at the end": ("GET", "/payments/{id}/"),
    "without a slash at the beginning": ("GET", "payments/{id}"),
    "braces in braces": ("GET", "/{{a}/{id}"),
    "a rest in the middle": ("GET", "/{a...}/x"),
    "a parameter with a letter before it": ("GET", "/p{a}/{id}"),
    "an empty template": ("GET", ""),
    "a whole URL": ("GET", "http://x/payments/{id}"),
    "the challenge of certificates": ("GET", "/.well-known/acme-challenge/{t}"),
    "the same in capitals": ("GET", "/.WELL-KNOWN/acme-challenge/{t}"),
    "the same with an encoded dot": ("GET", "/%2ewell-known/acme-challenge/{t}"),
    "the same by a parameter": ("GET", "/{a}/acme-challenge/{t}"),
    "the node's API": ("*", "/api/{rest...}"),
    "the node's API in capitals": ("*", "/API/v1/whoami"),
    "calls": ("*", "/invoke/{rest...}"),
    "hooks": ("*", "/hooks/{rest...}"),
    "metrics": ("GET", "/metrics"),
    "a letter that folds to another": ("GET", "/metric\u017f"),
    "a small method": ("get", "/payments/{id}"),
    "a method with a space": ("GET ", "/payments/{id}"),
    "1,000 routes": ("GET", ""),
}
HEADERS = {
    "a cookie of the host": {"set-cookie": "a=1; Path=/"},
    "a cookie of the parent's name": {"set-cookie": "a=1; Domain=localhost; Path=/payments"},
    "a cookie, path twice": {"set-cookie": "a=1; Path=/shopb; Path=/"},
    "a cookie, path with a tab": {"set-cookie": "a=1;\tpath\t=\t/"},
    "a cookie for the whole host by its name": {"set-cookie": "__hOsT-a=1; Path=/; Secure"},
    "a cookie without a name whose value is one": {"set-cookie": "=__Host-a=1; Path=/"},
    "a nameless cookie that sets a name": {"set-cookie": "__Host-a; Path=/"},
    "two cookies in one field": {"set-cookie": "a=1; Path=/shopb, b=2; Path=/payments"},
    "a prefix of the own path": {"set-cookie": "a=1; Path=/shopbb"},
    "a path with dots": {"set-cookie": "a=1; Path=/shopb/../payments"},
    "data cleared": {"Clear-Site-Data": '"*"'},
    "HSTS": {"Strict-Transport-Security": "max-age=1; includeSubDomains"},
    "a worker for all": {"Service-Worker-Allowed": "/"},
    "another server": {"Alt-Svc": 'h2="evil.example:443"'},
    "reports": {"Reporting-Endpoints": 'default="https://evil.example"', "NEL": "{}"},
    "a dictionary for all": {"Use-As-Dictionary": 'match="/*"'},
    "storage that the whole origin shares": {"Shared-Storage-Write": "set;key=a;value=b"},
    "a log-in state": {"Set-Login": "logged-in"},
    "a name with a space": {"Strict-Transport-Security ": "max-age=1"},
    "a line in a value": {"x-a": "1\r\nStrict-Transport-Security: max-age=1"},
    "topics of the origin": {"Observe-Browsing-Topics": "?1"},
    "a session bound to the device": {"Secure-Session-Registration": '(ES256);path="x"'},
}


def answers(node: TestNode, mark: str = "shopb") -> list[str]:
    """Return which victims' requests an attacker answers."""
    found = []
    for method in METHODS:
        for path in VICTIMS:
            with socket.create_connection(("127.0.0.1", node.port)) as sock:
                sock.settimeout(10)
                sock.sendall(
                    f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
                )
                data = b""
                while piece := sock.recv(65536):
                    data += piece
            if (
                mark.encode() in data.partition(b"\r\n\r\n")[0]
                or f"\r\n\r\n{mark}".encode() in data
            ):
                found.append(f"{method} {path}")
    return found


def forged(node: TestNode, attacker: Somebody) -> Attempts:
    """Deploy what no manifest of ours could say; the first shows that it could be deployed."""
    own = HttpTrigger(method="GET", path="/shopb/own")
    said = attacker.forges(APP % ("shopb", "shopb"), "shopb", "forged", http=(own,))
    got = nobody(node).node.client.get(f"{node.url}/shopb/own")
    answered = got.headers.get("x-of") == "shopb"
    yield from shown("forged: one's own path", answered, f"{said} {got.status_code}")
    attacker.ask("DELETE", "/functions/shopb/forged")
    for name, (method, template) in FORGED.items():
        one = HttpTrigger(method=method, path=template)
        http = (
            tuple(HttpTrigger(method="GET", path=f"/many{n}") for n in range(20_000))
            if "1,000" in name
            else (one,)
        )
        said = attacker.forges(APP % ("shopb", "shopb"), "shopb", "forged", http=http)
        found = answers(node)
        yield Attempt(
            f"forged: {name}",
            bool(found) or ("1,000" in name and not said),
            f"{said[:90]} {found[:3]}",
        )
        attacker.ask("DELETE", "/functions/shopb/forged")


def headers(node: TestNode, attacker: Somebody) -> Attempts:
    """Answer with what browsers keep for more than the own paths."""
    source = (
        "import json\nH = json.loads(%r)\ndef handler(event, context):\n"
        "    return {'status': 200, 'headers': H[event['query']['n'][0]], 'body': 'x'}\n"
    )
    import json

    named = {str(n): h for n, h in enumerate((*HEADERS.values(), {"x-a": "kept"}))}
    said = attacker.deploys(
        source % json.dumps(named), project="shopb", name="heads", settings="public = true",
        routes=ROUTE.format("heads", "GET", "/shopb/x"),
    )  # fmt: skip
    got = nobody(node).node.client.get(f"{node.url}/shopb/x?n={len(HEADERS)}")
    yield from shown("header: one's own", got.headers.get("x-a") == "kept", f"{said} {got.text}")
    for number, (name, sent) in enumerate(HEADERS.items()):
        answer = nobody(node).node.client.get(f"{node.url}/shopb/x?n={number}")
        kept = [
            (k, v)
            for k, v in answer.headers.multi_items()
            if k.lower().strip() in {s.lower().strip() for s in sent}
        ]
        bad = [kv for kv in kept if kv[0] != "set-cookie" and not kv[0].startswith("x-a")]
        for _, value in (kv for kv in kept if kv[0] == "set-cookie"):
            paths = [
                a.partition("=")[2].strip()
                for a in value.split(";")[1:]
                if a.partition("=")[0].strip().lower() == "path"
            ]
            inside = paths and all(
                p == "/shopb" or (p.startswith("/shopb/") and ".." not in p) for p in paths[-1:]
            )
            nameless = value.split(";")[0].lstrip("= ").lower().startswith("__host-")
            if not inside or "domain" in value.lower() or nameless:
                bad.append(("set-cookie", value))
        bad += [kv for kv in answer.headers.multi_items() if kv[0] == "strict-transport-security"]
        yield Attempt(
            f"header: {name}",
            bool(bad) and answer.status_code == 200,
            f"{answer.status_code} {bad}",
        )


def claims(node: TestNode, attacker: Somebody) -> Attempts:
    """Have paths given to one, or take them while they are nobody's for a moment."""
    for name, body in {
        "a prefix of another": {"prefixes": ["/payments"], "hosts": []},
        "everything": {"prefixes": ["/"], "hosts": []},
        "a host": {"prefixes": [], "hosts": ["x"]},
        "nothing for the other": {"prefixes": [], "hosts": []},
    }.items():
        target = "shopa" if "nothing" in name else "shopb"
        said = attacker.ask("PUT", f"/route-claims/{target}", body).status_code
        yield Attempt(f"claim: {name}", said == 200, str(said))
    app, mine = APP % ("shopb", "shopb"), APP % ("shopa", "shopa")
    route = ROUTE.format("later", "GET", "/later/x")

    def of_another(name: str, found: list[str]) -> Attempt:
        got = nobody(node).node.client.get(f"{node.url}/later/x")
        return Attempt(
            f"taken back: {name}",
            "shopb" in got.headers.get("x-of", ""),
            f"{got.status_code} {found}",
        )

    first = attacker.deploys(
        app, project="shopb", name="later", settings="public = true", routes=route
    )
    got = nobody(node).node.client.get(f"{node.url}/later/x")
    yield from shown("taken back: what was one's own", got.headers.get("x-of") == "shopb", first)
    attacker.deploys(app, project="shopb", name="later", settings="public = true")
    said = [
        Somebody(node, node.key).deploys(
            mine, project="shopa", name="later", settings="public = true", routes=route
        )
    ]
    for name, targets in {
        "by an alias to version 1": [{"version": 1, "weight": 100}],
        "by a share of an alias": [{"version": 1, "weight": 1}, {"version": 2, "weight": 99}],
    }.items():
        answer = attacker.ask("PUT", "/functions/shopb/later/aliases/live", {"targets": targets})
        yield of_another(name, [*said, str(answer.status_code), answer.text[:80]])
        attacker.ask(
            "PUT",
            "/functions/shopb/later/aliases/live",
            {"targets": [{"version": 2, "weight": 100}]},
        )
    answer = attacker.ask("POST", "/functions/shopb/later/rollback")
    yield of_another("by a rollback", [answer.text[:80]])
    answer = attacker.ask("DELETE", "/functions/shopb/later/versions/2")
    yield of_another("by deleting the version without it", [answer.text[:80]])
    yield of_another(
        "by deploying it again",
        [
            attacker.deploys(
                app, project="shopb", name="later", settings="public = true", routes=route
            )
        ],
    )
    attacker.ask("DELETE", "/functions/shopb/later")
    yield of_another(
        "by a new function",
        [
            attacker.deploys(
                app, project="shopb", name="later", settings="public = true", routes=route
            )
        ],
    )
    told: dict[str, str] = {}
    for turn in range(3):
        both = ROUTE.format("race", "GET", f"/race{turn}/x")
        threads = [
            threading.Thread(
                target=lambda s=who, p=project, t=both: told.__setitem__(
                    p,
                    s.deploys(
                        APP % (p, p), project=p, name="race", settings="public = true", routes=t
                    ),
                )
            )
            for who, project in ((attacker, "shopb"), (owner(node).made("owner@shopa"), "shopa"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [p for p, refused in told.items() if not refused]
        yield from shown(f"race for a path, {turn}, by one", bool(won), str(told))
        yield Attempt(f"race for a path, {turn}", len(won) > 1, str(told)[:150])


def attempts(node: TestNode) -> Attempts:
    """Try all, as a developer of a project of one's own."""
    node.deploy(
        APP % ("shopa", "shopa"), project="shopa", settings="public = true",
        routes=ROUTE.format("f", "GET", "/payments/{id}") + ROUTE.format("f", "POST", "/payments/{id}"),
    )  # fmt: skip
    attacker = owner(node).made("developer@shopb")
    yield from forged(node, attacker)
    yield from headers(node, attacker)
    yield from claims(node, attacker)
