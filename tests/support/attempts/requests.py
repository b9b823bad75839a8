"""Single requests that are to hold a node up: what each costs, and what others feel of it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import secrets
import socket
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from casemate.manifest.problem import ManifestError
from support.node import TestNode

from . import Attempt, Attempts
from .others import owner as who_owns

APP = """
def handler(event, context):
    return {"ok": True}
def typed(event, context):
    return {"status": 200, "headers": {"content-type": "text/plain"}, "body": "x" * 1000}
"""
CONTRACTS = {
    "unique": {"type": "array", "uniqueItems": True},
    "contains": {
        "type": "array",
        "contains": {"type": "object", "required": ["z"]},
        "maxContains": 5,
    },
    "formats": {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "string", "format": f}
                for f in (
                    "email",
                    "idn-email",
                    "uri",
                    "iri",
                    "idn-hostname",
                    "date-time",
                    "duration",
                    "uuid",
                    "ipv6",
                    "json-pointer",
                    "uri-template",
                    "regex",
                    "hostname",
                    "relative-json-pointer",
                )
            ]
        },
    },
    "numbers": {"type": "array", "items": {"type": "number", "multipleOf": 0.0001}},
    "nested": {
        "$ref": "#/$defs/n",
        "$defs": {
            "n": {
                "anyOf": [
                    {"type": "array", "items": {"$ref": "#/$defs/n"}},
                    {"type": "array", "items": {"$ref": "#/$defs/n"}},
                ]
            }
        },
    },
    "names": {
        "type": "object",
        "patternProperties": {f"^{c}.*z$": {"type": "string"} for c in "abcdefgh"},
        "propertyNames": {"pattern": "^[a-z0-9]+$"},
    },
    "enum": {"type": "array", "items": {"enum": [f"v{n}" for n in range(2000)]}},
    "oneof": {"type": "array", "items": {"oneOf": [{"const": n} for n in range(200)]}},
    "unevaluated": {
        "type": "object",
        "anyOf": [{"properties": {f"p{n}": True}} for n in range(100)],
        "unevaluatedProperties": False,
    },
    "dependent": {
        "type": "object",
        "dependentRequired": {f"k{n}": [f"k{n + 1}"] for n in range(500)},
    },
}
MIB = 1 << 20
DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
STALL_SECONDS, CPU_SECONDS = 5, 0.75
"""A neighbour that waits so long (the machine may be busy), or so much work of the node for one request, is a
hole, if it is so three times."""

NOWHERE = ("404", "405", "(404", "(405", "b'HTTP/1.1 404", "b'HTTP/1.1 405")
MISSING = {"1,000 requests at once", "a path of semicolons"}
"""What is asked of a path that is nowhere, on purpose."""

Send = Callable[[TestNode], object]


def raw(node: TestNode, data: bytes, *, read: float = 3.0) -> bytes:
    """Send bytes; return the first of the answer."""
    with socket.create_connection(("127.0.0.1", node.port)) as sock:
        sock.settimeout(read)
        try:
            sock.sendall(data)
            return sock.recv(65536)
        except OSError:
            return b""


def get(path: str = "/r/echo", *, method: str = "GET", body: bytes = b"", **headers: str) -> Send:
    """Return who sends a whole request, without a credential."""

    def send(node: TestNode) -> object:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with httpx2.Client(timeout=30) as client:
            try:
                return client.request(
                    method, node.url + path, content=body or None, headers=named
                ).status_code
            except httpx2.HTTPError as error:
                return type(error).__name__

    return send


def post(path: str, body: bytes, kind: str = "application/json", **headers: str) -> Send:
    """Return who sends a body."""
    return get(path, method="POST", body=body, content_type=kind, **headers)


def owner(
    path: str, *, method: str = "POST", body: object = None, kind: str = "application/json"
) -> Send:
    """Return who asks the API as somebody with rights."""

    def send(node: TestNode) -> object:
        content = (
            body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        )
        answer = node.client.request(
            method, f"{node.url}/api/v1{path}", content=content, headers={"content-type": kind}
        )
        return answer.status_code, answer.text[:80]

    return send


def parts(count: int) -> bytes:
    return (
        b"".join(
            b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n' for _ in range(count)
        )
        + b"--x--"
    )


def lines(*text: str) -> Send:
    head = "\r\n".join(text) + "\r\n\r\n"
    return lambda node: raw(node, head.encode("latin-1"))[:40]


def token(head: object, claims: object, signature: str = "x" * 86) -> str:
    def part(value: object) -> str:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()

    return f"{part(head)}.{part(claims)}.{signature}"


def tar(names: list[str], content: bytes = b"") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def http() -> dict[str, Send]:
    """Heads, framing and what is about them."""
    long = "a" * 7000
    found: dict[str, Send] = {
        f"a head of 90 {name}": lines("GET /r/echo HTTP/1.1", "host: x", *[f"{name}: {value}"] * 90)
        for name, value in {
            "cookie": "a=" + ";" * 300,
            "accept": "a/b;q=0.1," * 30,
            "x-forwarded-for": "1.1.1.1," * 40,
            "forwarded": "for=1;by=2," * 28,
            "connection": "a,b,c," * 50,
            "te": "trailers," * 30,
            "prefer": "respond-async,wait=1," * 15,
            "via": "1.1 a," * 50,
            "range": "bytes=0-1," * 30,
            "if-none-match": '"a",' * 80,
            "tracestate": "a=b," * 80,
            "accept-encoding": "gzip;q=1," * 30,
            "transfer-encoding": "chunked",
            "expect": "100-continue",
            "upgrade": "h2c,websocket," * 20,
        }.items()
    }
    for name, value in {
        "bearer of dots": "Bearer " + "." * 20000,
        "bearer of one letter": "Bearer " + "a" * 20000,
        "basic of colons": "Basic " + base64.b64encode(b":" * 12000).decode(),
        "scheme of 20 KB": "X" * 20000,
        "digest with many": "Digest " + 'a="b",' * 4000,
        "JWT of a deep head": "Bearer " + token(b"[" * 9000, {}),
        "JWT with none": "Bearer " + token({"alg": "none"}, {"sub": "owner"}, ""),
        "JWT with its own key": "Bearer "
        + token({"alg": "RS256", "jwk": {"kty": "RSA", "n": "A" * 9000, "e": "AQAB"}}, {}),
        "JWE that is zipped": "Bearer "
        + ".".join([token({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}, {}), "a", "b"]),
    }.items():
        found[f"authorization: {name}"] = get("/api/v1/whoami", authorization=value)
    found |= {
        "a path of dots": lines("GET /" + "../" * 2600 + " HTTP/1.1", "host: x"),
        "a path of escapes": lines("GET /" + "%2e%2e%2f" * 850 + " HTTP/1.1", "host: x"),
        "a path of semicolons": lines("GET /r/" + ";" * 7900 + " HTTP/1.1", "host: x"),
        "a path of slashes": lines("GET " + "/" * 8000 + " HTTP/1.1", "host: x"),
        "a path of long UTF-8": lines("GET /r/" + "%f0%80%80%af" * 660 + " HTTP/1.1", "host: x"),
        "a query of ampersands": lines("GET /r/echo?" + "&" * 7900 + " HTTP/1.1", "host: x"),
        "a query of 2,600 names": lines("GET /r/echo?" + "a=&" * 2600 + " HTTP/1.1", "host: x"),
        "a query of brackets": lines("GET /r/echo?" + "a[" * 3800 + "=1 HTTP/1.1", "host: x"),
        "a host of punycode": lines("GET /r/echo HTTP/1.1", "host: xn--" + long),
        "a host of labels": lines("GET /r/echo HTTP/1.1", "host: " + "a." * 3500),
        "an IPv6 host that does not end": lines("GET /r/echo HTTP/1.1", "host: [" + ":" * 7000),
        "a whole URL as target": lines(
            "GET http://" + "a:" * 3500 + "@x/r/echo HTTP/1.1", "host: x"
        ),
        "1,000 requests at once": lambda n: raw(
            n, b"GET /r/none HTTP/1.1\r\nhost: x\r\n\r\n" * 1000
        )[:12],
        "1,000 HEADs at once": lambda n: raw(n, b"HEAD /r/echo HTTP/1.1\r\nhost: x\r\n\r\n" * 1000)[
            :12
        ],
        "100,000 chunks of a byte": lambda n: raw(
            n,
            b"POST /r/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            + b"1\r\na\r\n" * 100_000
            + b"0\r\n\r\n",
        )[:12],
        "chunks with extensions": lambda n: raw(
            n,
            b"POST /r/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            + (b"1;" + b"a=b;" * 50 + b"\r\na\r\n") * 5000
            + b"0\r\n\r\n",
        )[:12],
        "a chunk's length of zeros": lambda n: raw(
            n,
            b"POST /r/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            + b"0" * 1_000_000,
        )[:12],
        "trailers without end": lambda n: raw(
            n,
            b"POST /r/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
            + b"a: b\r\n" * 100_000,
        )[:12],
        "1 MB of empty lines": lambda n: raw(n, b"\r\n" * 500_000)[:12],
        "a preface of HTTP/2": lambda n: raw(
            n, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100_000)
        )[:12],
        "a TLS hello": lambda n: raw(n, b"\x16\x03\x01\x40\x00" + bytes(16000))[:12],
        "a preflight of 1,500 headers": get(
            "/r/echo",
            method="OPTIONS",
            origin="https://a.example",
            access_control_request_method="GET",
            access_control_request_headers="a," * 9000,
        ),
        "a preflight of a long origin": get(
            "/r/echo",
            method="OPTIONS",
            origin="https://" + "a." * 9000,
            access_control_request_method="GET",
        ),
        "an idempotency key of 20 KB": post(
            "/r/echo", b"{}", idempotency_key="a" * 20000, prefer="respond-async"
        ),
        "a traceparent of 20 KB": get(traceparent="00-" + "a" * 20000),
        "a content length of 20 KB": lines(
            "POST /r/echo HTTP/1.1", "host: x", "content-length: " + "9" * 20000
        ),
        "a content length of Unicode digits": lines(
            "POST /r/echo HTTP/1.1", "host: x", "content-length: \xb2\xb3"
        ),
    }
    return found


def bodies() -> dict[str, Send]:
    """Bodies of calls and of routes, by what reads them."""
    found: dict[str, Send] = {}
    for charset in (
        "punycode",
        "idna",
        "zlib_codec",
        "unicode_escape",
        "utf-7",
        "hex",
        "undefined",
        "rot13",
        "bz2",
        "base64",
        "utf-16",
        "cp1140",
        "a" * 9000,
        "../../x",
        "utf-8; charset=idna",
    ):
        found[f"a text in {charset[:20]}"] = post(
            "/r/echo", b"a" * 400_000 + b"-b", f"text/plain; charset={charset}"
        )
    found |= {
        "JSON in punycode": post(
            "/r/echo", b'"' + b"a" * 400_000 + b'"', "application/json; charset=punycode"
        ),
        "a gzip'd body of 1 GB": post(
            "/r/echo", gzip.compress(bytes(64 * MIB)), content_encoding="gzip"
        ),
        "numbers that are slow to read": post("/r/echo", b"[" + b"1e300," * 170_000 + b"1]"),
        "the same as a direct call": post("/invoke/t/echo", b"[" + b"1e300," * 900_000 + b"1]"),
        "the same for a contract": post("/r/unique", b"[" + b"1e300," * 900_000 + b"1]"),
        "the same, tiny": post("/r/echo", b"[" + b"1e-310," * 140_000 + b"1]"),
        "the same for a login": post("/api/v1/login", b'{"x":[' + b"1e300," * 900_000 + b"1]}"),
        "6 MB of brackets": post("/r/echo", b"[" * 6_000_000),
        "6 MB of objects in objects": post("/r/echo", b'{"a":' * 1_000_000),
        "6 MB of braces that close": post("/r/echo", b"[" + b"{}," * 1_900_000 + b"{}]"),
        "a number of 5,000,000 digits": post("/r/echo", b"9" * 5_000_000),
        "a fraction of 5,000,000 digits": post("/r/echo", b"0." + b"1" * 5_000_000),
        "an exponent of 1,000,000 digits": post("/r/echo", b"1e" + b"9" * 1_000_000),
        "400,000 equal names": post("/r/echo", b"{" + b'"a":1,' * 400_000 + b'"a":1}'),
        "500,000 names": post("/r/echo", json.dumps({f"k{n}": 0 for n in range(400_000)}).encode()),
        "escapes": post("/r/echo", b'"' + b"\\u0061" * 900_000 + b'"'),
        "lone surrogates": post("/r/echo", b'["' + b"\\ud800" * 900_000 + b'"]'),
        "6 MB of white space": post("/r/echo", b" " * 5_999_000 + b"1"),
        "a text that does not end": post("/r/echo", b'"' + b"\\\\" * 2_900_000),
        "strings that look like templates": post(
            "/r/echo", json.dumps(["{{" * 100_000, "${jndi:" * 50_000, "<%" * 100_000]).encode()
        ),
        "strings that look like SQL": post(
            "/r/echo", json.dumps(["' or 1=1 --" * 100_000, "/*" * 400_000]).encode()
        ),
        "strings that look encoded": post(
            "/r/echo",
            json.dumps([base64.b64encode(os.urandom(700_000)).decode(), "%25" * 400_000]).encode(),
        ),
        "a form of 1,500,000 pairs": post(
            "/r/echo", b"a=&" * 1_900_000, "application/x-www-form-urlencoded"
        ),
        "a form of escapes": post(
            "/r/echo", b"%41" * 1_900_000, "application/x-www-form-urlencoded"
        ),
        "100,000 parts": post("/r/echo", parts(100_000), "multipart/form-data; boundary=x"),
        "a boundary of 20 KB": post(
            "/r/echo", b"-" * 3_000_000, "multipart/form-data; boundary=" + "-" * 20000
        ),
        "a type of 2,000 parameters": post("/r/echo", b"{}", "application/json" + ';a="b"' * 2000),
        "a type of quotes": post("/r/echo", b"{}", "application/json;a=" + '"\\' * 9000),
        "XML of entities": post(
            "/r/echo",
            b"<!DOCTYPE a ["
            + b"".join(b'<!ENTITY e%d "&e%d;&e%d;">' % (n + 1, n, n) for n in range(40))
            + b"]><a>&e40;</a>",
            "application/xml",
        ),
        "YAML of anchors": post(
            "/r/echo",
            b"a: &a [x]\n" + b"".join(b"%d: &b%d [*a,*a]\n" % (n, n) for n in range(9999)),
            "application/yaml",
        ),
        "cloud event in a head": post(
            "/r/echo",
            b"{}",
            ce_id="a" * 5000,
            ce_source="/" * 5000,
            ce_specversion="1.0",
            ce_type="x",
        ),
    }
    for name in CONTRACTS:
        path = f"/r/{name}"
        tried = {
            "unique": [{"a": n} for n in range(300_000)],
            "contains": [{"y": n} for n in range(300_000)],
            "formats": [
                "a." * 30_000,
                "@" * 60_000,
                "1" * 60_000,
                ":" * 60_000,
                "(" * 60_000,
                "xn--" + "a" * 60_000,
                "P" + "1Y" * 30000,
            ]
            * 3,
            "numbers": [1e300 + n for n in range(300_000)],
            "nested": [[]],
            "names": {f"a{n}y": "" for n in range(250_000)},
            "enum": ["v1999"] * 300_000,
            "oneof": [199] * 200_000,
            "unevaluated": {f"q{n}": 1 for n in range(200_000)},
            "dependent": {f"k{n}": 1 for n in range(400_000)},
        }[name]
        content = json.dumps(tried).encode()
        if name == "nested":
            content = b"[" * 30 + b"1" + b"]" * 30
        found[f"a contract with {name}"] = post(path, content)
    found["unique numbers, nearly equal"] = post(
        "/r/unique", b"[" + b",".join(b"%d.0" % n for n in range(700_000)) + b"]"
    )
    found["unique lists, equal but for the end"] = post(
        "/r/unique", json.dumps([[0] * 500 + [n] for n in range(3000)]).encode()
    )
    found["unique objects of equal names"] = post(
        "/r/unique", json.dumps([{"a": {"b": {"c": n}}} for n in range(200_000)]).encode()
    )
    return found


def doors() -> dict[str, Send]:
    """What nobody needs a credential for."""
    deep = b'{"a":' * 200_000
    return {
        "login: a password of 4 MB": post(
            "/api/v1/login",
            json.dumps({"name": "a", "password": "p" * 4_000_000, "code": "1"}).encode(),
        ),
        "login: a name of 4 MB": post(
            "/api/v1/login",
            json.dumps({"name": "a" * 4_000_000, "password": "p", "code": "1"}).encode(),
        ),
        "login: a code of 1 MB": post(
            "/api/v1/login",
            json.dumps({"name": "a", "password": "p", "code": "1" * 1_000_000}).encode(),
        ),
        "login: deep": post("/api/v1/login", deep),
        "login: 1,000,000 fields": post(
            "/api/v1/login", json.dumps({f"k{n}": 1 for n in range(300_000)}).encode()
        ),
        "login: 32 at once": lambda n: (
            [
                t.start() or t
                for t in [
                    threading.Thread(
                        target=post(
                            "/api/v1/login",
                            json.dumps(
                                {"name": "a", "password": "p" * 20, "code": "123456"}
                            ).encode(),
                        ),
                        args=(n,),
                    )
                    for _ in range(32)
                ]
            ]
            and time.sleep(2.5)
        ),
        "enrol: 32 at once": lambda n: (
            [
                t.start() or t
                for t in [
                    threading.Thread(
                        target=post(
                            "/api/v1/enrol",
                            json.dumps(
                                {"name": "a", "code": "x" * 40, "password": "p" * 20}
                            ).encode(),
                        ),
                        args=(n,),
                    )
                    for _ in range(32)
                ]
            ]
            and time.sleep(2.5)
        ),
        "workload: an ID token of 1 MB": post(
            "/api/v1/login/workload",
            json.dumps({"token": token({"alg": "RS256"}, {"iss": "a" * 700_000})}).encode(),
        ),
        "workload: a deep token": post(
            "/api/v1/login/workload",
            json.dumps({"token": token(b'{"a":' * 20_000, b"[" * 100_000)}).encode(),
        ),
        "workload: dots": post(
            "/api/v1/login/workload", json.dumps({"token": "." * 1_000_000}).encode()
        ),
        "workload: an issuer that is a regular expression": post(
            "/api/v1/login/workload",
            json.dumps({"token": token({"alg": "RS256"}, {"iss": "(a+)+" * 5000 + "$"})}).encode(),
        ),
        "OIDC: a state of 1 MB": post(
            "/api/v1/login/oidc",
            json.dumps({"code": "a" * 1_000_000, "state": "b" * 1_000_000}).encode(),
        ),
        "a hook that is not there, 6 MB": post(
            "/hooks/t/f/x", b"{" * 6_000_000, x_hub_signature_256="sha256=" + "0" * 9000
        ),
        "a hook, deep": post(
            "/hooks/t/hooked/push",
            b'{"a":' * 800_000,
            x_hub_signature_256="sha256=" + "0" * 64,
            x_github_event="push",
            x_github_delivery="1",
        ),
        "a hook, a signature of commas": post(
            "/hooks/t/hooked/push",
            b"{}",
            x_hub_signature_256="sha256=," * 2000,
            x_github_event="push",
        ),
        "a hook, an event of 9 KB": post(
            "/hooks/t/hooked/push",
            b"{}",
            x_hub_signature_256="sha256=" + "0" * 64,
            x_github_event="p" * 9000,
        ),
        "JWKS with ranges": get("/.well-known/jwks.json", range="bytes=" + "0-1," * 6000),
        "JWKS with ETags": get("/.well-known/jwks.json", if_none_match='W/"a",' * 4000),
        "OpenAPI without a credential": get("/api/v1/openapi.json"),
        "health 100 times": lambda n: [get("/api/v1/health")(n) for _ in range(100)][:1],
        "a call to a function by a name of 7 KB": post("/invoke/t/" + "f" * 7000, b"{}"),
        "a call with a version of 7 KB digits": post("/invoke/t/echo@" + "9" * 7000, b"{}"),
        "a call with an alias of escapes": post("/invoke/t/echo@" + "%6c" * 2500, b"{}"),
        "metrics without a credential": get("/metrics"),
    }


def rights() -> dict[str, Send]:
    """What those who have rights can send to parsers that few look at."""
    policy = "permit(principal, action, resource) when { %s };"
    found: dict[str, Send] = {}
    for name, text in {
        "parentheses": policy % ("(" * 29_000 + "true" + ")" * 29_000),
        "negations": policy % ("!" * 58_000 + "true"),
        "minus": policy % ("-" * 58_000 + "1 == 1"),
        "ands": policy % " && ".join(["true"] * 7000),
        "ifs": policy % ("if true then " * 2500 + "true" + " else true" * 2500),
        "sets": policy % ("[" * 29_000 + "]" * 29_000 + " == []"),
        "records": policy % ("{a:" * 14_000 + "1" + "}" * 14_000 + " == {}"),
        "dots": policy % ("context" + ".a" * 29_000),
        "likes": policy % (" || ".join(['"' + "a" * 200 + '" like "' + "*a" * 90 + 'b"'] * 135)),
        "10,000 policies": "forbid(principal, action, resource) when { context has x };" * 900,
        "comments": "//" * 29_000,
        "a text that does not end": '"' + "\\" * 14_000,
        "entities": policy % ('a::"' + "x::" * 19_000 + '" == 1'),
    }.items():
        found[f"Cedar: {name}"] = owner("/policies/x", method="PUT", body={"text": text})
    for name, text in {
        "TOML arrays": "a = " + "[" * 58_000,
        "TOML tables": "[" + "a." * 29_000 + "b]",
        "TOML inline": "a = " + "{a = " * 11_000,
        "TOML keys": "\n".join(f"k{n} = 1" for n in range(4500)),
        "TOML dates": "a = " + "1" * 58_000,
        "TOML numbers": "a = 0x" + "f" * 58_000,
        "TOML of tables' arrays": "[[a]]\n" * 8000,
        "TOML text": 'a = """' + '""' * 14_000,
        "YAML anchors": "a: &a [x]\n" + "b: [*a,*a]\n" * 4500,
    }.items():
        found[f"playbook: {name}"] = owner("/playbooks/x", method="PUT", body={"text": text})
    found |= {
        "logs: a search of 7 KB": owner("/logs?project=t&search=" + "a" * 7000, method="GET"),
        "logs: a field of equals": owner("/logs?project=t&field=" + "=" * 7000, method="GET"),
        "logs: since infinity": owner("/logs?since=1e400", method="GET"),
        "logs: since nan": owner("/logs?since=nan", method="GET"),
        "logs: a limit of 5,000 digits": owner("/logs?limit=" + "9" * 5000, method="GET"),
        "journal: a search of percent": owner("/journal?search=" + "%25" * 2000, method="GET"),
        "journal: until of 300 digits": owner("/journal?until=" + "9" * 300, method="GET"),
        "invocations: an outcome of 7 KB": owner(
            "/invocations?outcome=" + "x" * 7000, method="GET"
        ),
        "decide: 100,000 resources": owner(
            "/policy/decide",
            body={"principal": "x" * 500_000, "action": "y" * 100_000, "resource": "z" * 100_000},
        ),
        "decide: deep context": owner("/policy/decide", body=b'{"context":' + b'{"a":' * 100_000),
        "prices: 6 MB": owner("/prices", method="PUT", body=b"9" * 6_000_000),
        "prices: fractions": owner(
            "/prices",
            method="PUT",
            body={"currency": "EUR", "prices": {f"k{n}": "0." + "1" * 300 for n in range(2000)}},
        ),
        "claims: 100,000 prefixes": owner(
            "/route-claims/t",
            method="PUT",
            body={"prefixes": [f"/p{n}" for n in range(100_000)], "hosts": []},
        ),
        "claims: a host of punycode": owner(
            "/route-claims/t",
            method="PUT",
            body={"prefixes": [], "hosts": ["xn--" + "a" * 100_000]},
        ),
        "token: 100,000 roles": owner(
            "/tokens",
            body={"name": "x", "roles": [f"invoker:t/f{n}" for n in range(100_000)], "days": 1},
        ),
        "token: a role of 1 MB": owner(
            "/tokens", body={"name": "x", "roles": ["invoker:" + "/" * 1_000_000], "days": 1}
        ),
        "user: a name of 1 MB": owner("/users", body={"name": "a" * 1_000_000, "roles": []}),
        "alias: 100,000 targets": owner(
            "/functions/t/echo/aliases/x",
            method="PUT",
            body={"targets": [{"version": 1, "weight": 1}] * 100_000},
        ),
        "deployments: 100,000": owner(
            "/deployments",
            body={"functions": [{"project": "t", "function": "x", "digest": "0" * 64}] * 50_000},
        ),
        "advisories: a ZIP of zeros": owner(
            "/advisories",
            method="PUT",
            body=gzip.compress(bytes(200 * MIB)),
            kind="application/octet-stream",
        ),
        "advisories: a SQLite header": owner(
            "/advisories",
            method="PUT",
            body=b"SQLite format 3\0" + bytes(5 * MIB),
            kind="application/octet-stream",
        ),
        "attestation: deep": owner(
            "/bundles/" + "0" * 64 + "/attestation", method="PUT", body=b'{"a":' * 500_000
        ),
        "attestation: 100,000 signatures": owner(
            "/bundles/" + "0" * 64 + "/attestation",
            method="PUT",
            body={
                "payload": "",
                "payloadType": "x",
                "signatures": [{"keyid": "a", "sig": "b"}] * 100_000,
            },
        ),
        "bundle: a gzip of 2 GB of zeros": owner(
            "/bundles/" + "1" * 64,
            method="PUT",
            body=gzip.compress(bytes(400 * MIB), 1),
            kind="application/gzip",
        ),
        "bundle: 100,000 names": owner(
            "/bundles/" + "2" * 64,
            method="PUT",
            body=tar([f"a/{n}" for n in range(60_000)]),
            kind="application/gzip",
        ),
        "bundle: a deep name": owner(
            "/bundles/" + "3" * 64,
            method="PUT",
            body=tar(["a/" * 30_000 + "b"]),
            kind="application/gzip",
        ),
        "bundle: gzip in pieces": owner(
            "/bundles/" + "4" * 64,
            method="PUT",
            body=gzip.compress(b"") * 300_000,
            kind="application/gzip",
        ),
        "bundle: PAX heads": owner(
            "/bundles/" + "5" * 64,
            method="PUT",
            body=gzip.compress(
                (b"./PaxHeaders/x".ljust(124, b"\0") + b"77777777777\0" + b"0" * 20 + b"x").ljust(
                    512, b"\0"
                )
                * 20000
            ),
            kind="application/gzip",
        ),
        "builder key: 1 MB": owner(
            "/builder-keys", body={"name": "x", "key": "A" * 1_000_000, "proof": "B" * 1_000_000}
        ),
        "OIDC: an issuer of 1 MB": owner(
            "/oidc",
            method="PUT",
            body={"issuer": "https://" + "a" * 1_000_000, "client_id": "x", "roles": {}},
        ),
        "silence: a reason of 4 MB": owner(
            "/alerts/silences", body={"rule": "x", "seconds": 1, "reason": "x" * 4_000_000}
        ),
        "table query: 1 MB": owner("/tables/t/x/query", body={"key": "a" * 1_000_000}),
        "secret: 8 MB": owner(
            "/secrets/t/x",
            method="PUT",
            body=os.urandom(8_000_000),
            kind="application/octet-stream",
        ),
        "an object's key of escapes": owner(
            "/buckets/t/x/object?key=" + "%2e%2e%2f" * 800,
            method="PUT",
            body=b"x",
            kind="application/octet-stream",
        ),
        "a proof of an entry that is not": owner("/journal/9007199254740992/proof", method="GET"),
        "fire: 6 MB": owner("/functions/t/echo/triggers/x/fire", body=b"[" * 6_000_000),
        "budget: 1e308": owner(
            "/budgets/t/x", method="PUT", body={"amount": 1e308, "unit": "eur", "period": "month"}
        ),
    }
    return found


class Neighbour(threading.Thread):
    """Asks for the node's health all the time; knows the longest wait."""

    def __init__(self, node: TestNode) -> None:
        super().__init__(daemon=True)
        self.url, self.longest, self.going, self.failed = f"{node.url}/api/v1/health", 0.0, True, 0

    def run(self) -> None:
        with httpx2.Client(timeout=60) as client:
            while self.going:
                began = time.monotonic()
                try:
                    if client.get(self.url).status_code >= 500:
                        self.failed += 1
                except httpx2.HTTPError:
                    self.failed += 1
                self.longest = max(self.longest, time.monotonic() - began)
                time.sleep(0.01)


def used(node: TestNode) -> float:
    """Return the processor time that the node's processes have had, but for functions'."""
    total = 0
    for pid in node.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"zygote" not in command:
                total += sum(
                    map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])
                )
        except OSError:
            continue
    return total / os.sysconf("SC_CLK_TCK")


def tried(node: TestNode, send: Send) -> tuple[bool, str]:
    neighbour = Neighbour(node)
    neighbour.start()
    before, began = used(node), time.monotonic()
    try:
        said: object = send(node)
    except Exception as error:  # whatever the client makes of it
        said = type(error).__name__
    took = time.monotonic() - began
    time.sleep(0.15)
    spent = used(node) - before
    neighbour.going = False
    neighbour.join()
    bad = neighbour.longest > STALL_SECONDS or spent > CPU_SECONDS or neighbour.failed > 0
    return (
        bad,
        f"{said} in {took:.2f} s, cpu {spent:.2f}, neighbour {neighbour.longest:.2f} s, failed {neighbour.failed}",
    )


def deploy(node: TestNode) -> dict[str, str]:
    """Deploy what is attacked; return why contracts are refused."""
    refused = {}
    routes = '[[function.routed.http]]\nmethod = "*"\npath = "/r/echo"\n[function.routed.cors]\norigins = ["https://b.example"]\nheaders = ["authorization"]\n'
    for name, routed in (("echo", ""), ("routed", routes)):
        node.deploy(APP, name=name, settings="public = true", routes=routed, unguarded=True)
    who_owns(node).keeps("t", "hub-key", secrets.token_bytes(24))
    hook = (
        '[[function.hooked.repository]]\nname = "push"\nprovider = "github"\nsecret = "hub-key"\n'
    )
    node.deploy(APP, name="hooked", routes=hook, approve=True)
    for name, contract in CONTRACTS.items():
        text = f'[project]\nname = "t"\n[function.{name}]\nhandler = "app:handler"\npublic = true\n'
        text += f'[[function.{name}.http]]\nmethod = "POST"\npath = "/r/{name}"\ncontract = "{name}.json"\n'
        try:
            node.deploy_project(text, APP, files={f"{name}.json": json.dumps(DIALECT | contract)})
        except ManifestError as error:
            refused[f"a contract with {name}"] = str(error)
    return refused


def attempts(node: TestNode) -> Attempts:
    """Try all, what seems to work once more."""
    refused = deploy(node)
    for kind in (http, bodies, doors, rights):
        for name, send in kind().items():
            if name in refused:
                yield Attempt(f"{kind.__name__}: {name}", False, f"refused: {refused[name]}"[:160])
                continue
            bad, told = tried(node, send)
            for _ in range(2):
                if not bad:
                    break
                bad, told = tried(node, send)
            if told.startswith(NOWHERE) and name not in MISSING:
                bad, told = True, f"tries nothing: {told}"
            yield Attempt(f"{kind.__name__}: {name}", bad, told)
