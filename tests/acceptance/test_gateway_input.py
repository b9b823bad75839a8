"""Whatever is sent to the gateway, the answer is clear, quick, and leaves nothing half done."""

from __future__ import annotations

import gzip
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.bundles import Bundle, deploy, make_bundle, publish, upload
from support.node import TestNode
from support.processes import gateway_of, memory
from support.raw_http import Answer, connect, exchange, read_answer, request

ECHO = """
def handler(event, context):
    return {"event": event}
"""
MIB = 1024 * 1024
JSON = ("Content-Type", "application/json")
TARGET = "/invoke/t/f"


@pytest.fixture(scope="module")
def echo() -> Bundle:
    return make_bundle(ECHO)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, echo: Bundle) -> Iterator[TestNode]:
    """A node that offers only the Python its functions are built for."""
    data = tmp_path_factory.mktemp("node") / "data"
    running = TestNode(data, "--python", str(echo.manifest.function.python)).start()
    publish(running, echo)
    assert running.invoke({}).status_code == 200
    yield running
    running.close()


@pytest.fixture
def uploaded() -> set[str]:
    """Digests that a test uploads for good."""
    return set()


@pytest.fixture(autouse=True)
def nothing_is_left_behind(node: TestNode, uploaded: set[str]) -> Iterator[None]:
    """After every test: the same files, the same functions, and the function still answers."""
    before = tree(node.data), functions_of(node)
    yield
    after = [path for path in tree(node.data) if not uploaded.intersection({Path(path).stem})]
    assert (after, functions_of(node)) == before
    assert node.invoke({"still": "there"}).json() == {"event": {"still": "there"}}


def functions_of(node: TestNode) -> list[dict[str, Any]]:
    """Return what is deployed, but for how many instances wait, which each call changes."""
    return [each | {"ready": 0} for each in node.get("/functions")["functions"]]


def tree(data: Path) -> list[str]:
    """Return all files but those of journal and monitor, which what is refused is told to.

    Those that are being written by parts of the node take another one's place a moment later.
    """
    found = (path.relative_to(data) for path in data.rglob("*"))
    told = ("journal", "monitor")
    return sorted(str(p) for p in found if p.parts[0] not in told and p.suffix != ".new")


def send(node: TestNode, raw: bytes, method: str = "POST") -> Answer:
    return exchange(node.port, raw, method)


def post(node: TestNode, target: str | bytes, body: bytes = b"{}", *headers: tuple[str, str]):
    return send(node, request(target, body, key=node.key, headers=headers or (JSON,)))


def is_problem(answer: Answer, status: int) -> bool:
    """Tell whether an answer is problem+json with a text for people."""
    document = json.loads(answer.body)
    return (
        answer.status == document["status"] == status
        and answer.headers["content-type"] == "application/problem+json"
        and bool(document["title"])
        and bool(document.get("detail"))
    )


# -- bodies ------------------------------------------------------------------------------------

MALFORMED = {
    "half an object": b'{"a": ',
    "no JSON": b"name=Ada",
    "two values": b"{} {}",
    "a trailing comma": b"[1,]",
    "single quotes": b"{'a': 1}",
    "not a number": b"NaN",
    "infinity": b"[-Infinity]",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a NUL": b"{}\x00",
    "a control character in a string": b'"a\nb"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "broken UTF-8": b'{"a": "\xff\xfe"}',
    "cut UTF-8": b'"\xe2\x82"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "binary": bytes(range(256)),
    "nested deeper than 64": b"[" * 65 + b"]" * 65,
    "nested a hundred thousand deep": b"[" * 100_000 + b"]" * 100_000,
    "nested and not closed": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_body_that_is_not_json_is_refused(node: TestNode, name: str) -> None:
    answer = post(node, TARGET, MALFORMED[name])
    assert is_problem(answer, 400)
    record = node.get(f"/invocations/{answer.headers['x-request-id']}")
    assert record["outcome"] == "invalid"
    assert record["version"] == 0, "no code ran"


@pytest.mark.parametrize(
    "body", [b"[" * 33 + b"]" * 33, b"123456789012345678901234567890", b'{"a":1e300}']
)
def test_what_is_json_and_beyond_the_default_limits_is_refused(node: TestNode, body: bytes) -> None:
    answer = post(node, TARGET, body)
    assert is_problem(answer, 400)
    assert b"without a contract" in answer.body


@pytest.mark.parametrize(
    ("body", "event"),
    [
        (b"", None),
        (b"null", None),
        (b"  [1, 2]\n", [1, 2]),
        (b'"\\u00e9\\ud83d\\ude00"', "é😀"),
        (b"[" * 32 + b"]" * 32, None),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"1234567890123456789", 1234567890123456789),
        (b'"' + b"[" * 1000 + b'"', "[" * 1000),
    ],
)
def test_what_is_json_arrives_as_it_is(node: TestNode, body: bytes, event: object) -> None:
    answer = post(node, TARGET, body)
    assert answer.status == 200, answer.body
    if not body.startswith(b"[[["):
        assert json.loads(answer.body)["event"] == event


def test_odd_but_decodable_numbers_and_strings_never_fail_inside(node: TestNode) -> None:
    for body in (b"1e999", b"-0", b"1E-400", b'"\\ud800"', b'{"\\ud800": 1}', b"9" * 5000):
        answer = post(node, TARGET, body)
        assert answer.status in (200, 400), (body[:20], answer)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/octet-stream", "application/jsonx", "json", "application/xml; a=+json", ";"],
)  # fmt: skip
def test_a_content_type_that_is_not_json_is_refused(node: TestNode, content_type: str) -> None:
    answer = post(node, TARGET, b"{}", ("Content-Type", content_type))
    if content_type == ";":  # no type at all counts as JSON
        assert answer.status == 200
    else:
        assert is_problem(answer, 415)


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"],
)
def test_every_json_type_is_taken(node: TestNode, content_type: str) -> None:
    assert post(node, TARGET, b"{}", ("Content-Type", content_type)).status == 200


def test_fifty_megabytes_are_refused_before_they_are_read(node: TestNode) -> None:
    head = request(TARGET, key=node.key, headers=(JSON, ("Content-Length", str(50 * MIB))))
    started = time.monotonic()
    answer = send(node, head)
    assert is_problem(answer, 413)
    assert time.monotonic() - started < 10
    for target in ("/api/v1/functions/t/f/rollback", "/invoke/no/such"):
        head = request(target, key=node.key, headers=(JSON, ("Content-Length", str(50 * MIB))))
        assert is_problem(send(node, head), 413)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/somewhere", 404),
        ("PUT", TARGET, 405),
        ("PUT", "/invoke/no/such", 405),
        ("POST", "/metrics", 405),
        ("DELETE", "/.well-known/openid-configuration", 405),
        ("POST", "/invoke/a/b/c", 404),
    ],
)
@pytest.mark.parametrize("size", [65_537, 10**17])
def test_where_no_body_is_read_a_large_one_hides_nothing(
    node: TestNode, method: str, target: str, status: int, size: int
) -> None:
    length = ("Content-Length", str(size))
    head = request(target, method=method, key=node.key, headers=(JSON, length))
    answer = send(node, head, method)
    assert is_problem(answer, status)
    assert answer.headers["connection"] == "close"
    nobody = send(node, request(target, method=method, headers=(JSON, length)), method)
    assert is_problem(nobody, 401 if "well-known" not in target and target != "/metrics" else 405)


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_fifty_megabytes_from_many_take_no_memory(node: TestNode, chunked: bool) -> None:
    gateway = gateway_of(node.process.pid if node.process else 0)
    assert gateway is not None
    before = memory(gateway, "VmHWM")
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(50 * MIB))
    head = request(TARGET, key=node.key, headers=(JSON, framing))
    piece = b"%x\r\n" % MIB + bytes(MIB) + b"\r\n" if chunked else bytes(MIB)
    with ExitStack() as stack:
        started = time.monotonic()
        for _ in range(6):
            sock = stack.enter_context(connect(node.port))
            # It answers at once, and for a short while throws away what still comes, so that
            # the answer is not lost with a reset.
            try:
                sock.sendall(head)
                for _ in range(50):
                    sock.sendall(piece)
                assert read_answer(sock).status == 413
            except (BrokenPipeError, ConnectionResetError):
                continue
        assert time.monotonic() - started < 20
    assert memory(gateway, "VmHWM") - before < 24 * MIB


def test_the_limit_of_the_function_is_the_limit(node: TestNode) -> None:
    limit = 6 * MIB
    # It is read to the end, and only then found to be beyond what needs no contract.
    within = post(node, TARGET, b'"' + b"x" * (limit - 2) + b'"')
    assert within.status == 400
    assert b"without a contract" in within.body
    beyond = post(node, TARGET, b'"' + b"x" * (limit - 1) + b'"')
    assert is_problem(beyond, 413)
    assert b"at most 6,291,456 bytes" in beyond.body


def test_who_has_no_token_may_send_little(node: TestNode) -> None:
    for target in (TARGET, "/api/v1/bundles/" + "0" * 64):
        head = request(target, headers=(JSON, ("Content-Length", str(65 * 1024))))
        assert is_problem(send(node, head), 413)


# -- heads -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        JSON,
        ("Host", "node"),
        ("Content-Length", "2"),
        ("Content-Length", "3"),
        ("Authorization", "Bearer cm_other"),
        ("Transfer-Encoding", "chunked"),
    ],
    ids=lambda header: "-".join(header).lower(),
)
def test_a_repeated_or_conflicting_header_is_refused(
    node: TestNode, header: tuple[str, str]
) -> None:
    assert is_problem(post(node, TARGET, b"{}", JSON, header), 400)


def test_repeated_headers_of_no_meaning_here_are_fine(node: TestNode) -> None:
    twice = ("X-Trace", "1"), ("X-Trace", "2"), ("Accept", "a/b"), ("Accept", "c/d")
    assert post(node, TARGET, b"{}", JSON, *twice).status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/invoke/../api/v1/functions", 400),
        ("/invoke/%2e%2e/api/v1/functions", 400),
        ("/invoke/.%2E/api/v1/functions", 400),
        ("/invoke/t/..%2fapi", 400),
        ("/invoke/t/%2e", 400),
        ("/invoke/t/f%00", 400),
        ("/invoke/t/f%0d%0aX-Evil:1", 400),
        ("/invoke/t/\xff", 400),
        ("/invoke/t/%ff", 400),
        ("/invoke/t/%zz", 400),
        ("/invoke/t/f#x", 400),
        ("invoke/t/f", 400),
        ("*", 400),
        ("//invoke/t/f", 404),
        ("/invoke//t/f", 404),
        ("/invoke/t//f", 404),
        ("/invoke/t/f/", 404),
        ("/invoke/t/f/more", 404),
        ("/invoke/t%2ff", 404),
        ("/invoke/t%5cf", 404),
        ("/invoke/t", 404),
        ("/invoke/", 404),
        ("/invoke", 404),
        ("/INVOKE/t/f", 404),
        ("/invoke/t/f@nothing", 404),
        ("/invoke/t/f@99", 404),
        ("/invoke/t/f@1@1", 404),
        ("/invoke/t/f@" + "9" * 400, 404),
        ("/invoke/" + "a/" * 3000, 404),
        ("/api/v1/../../invoke/t/f", 400),
        ("/api/v1/functions/..%2f..%2fbundles", 400),
        ("/" + "a" * 9000, 414),
        ("/?" + "q" * 9000, 414),
    ],
)
def test_a_path_trick_leads_nowhere(node: TestNode, target: str, status: int) -> None:
    assert is_problem(post(node, target), status)


@pytest.mark.parametrize("target", ["/invoke/t/f%2f", "/invoke/T/F", "/invoke/t/f%40live"])
def test_a_name_that_none_can_have_is_not_found(node: TestNode, target: str) -> None:
    assert is_problem(post(node, target), 404)


@pytest.mark.parametrize("target", ["/invoke/t/f%2f", "/invoke/T/F", "/invoke/t/f%40live"])
def test_a_name_that_none_can_have_runs_nothing(node: TestNode, target: str) -> None:
    assert post(node, target).status in (403, 404)


@pytest.mark.parametrize("target", ["/invoke/t/f@live", "/invoke/t/f@1", "/invoke/t/f?x=1"])
def test_a_path_that_is_meant_that_way_works(node: TestNode, target: str) -> None:
    assert post(node, target).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_invokes(node: TestNode, method: str) -> None:
    answer = send(node, request(TARGET, method=method, key=node.key, headers=()), method)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["PROPFIND", "post", "BREW"])
def test_a_method_that_is_not_spoken_is_refused(node: TestNode, method: str) -> None:
    assert is_problem(send(node, request(TARGET, method=method, key=node.key)), 501)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_a_method_that_is_known_and_not_allowed_is_refused(node: TestNode, method: str) -> None:
    answer = send(node, request(TARGET, method=method, key=node.key))
    assert is_problem(answer, 405)
    assert method not in answer.headers["allow"]


@pytest.mark.parametrize("target", ["/api/v1/health", "/api/v1/node", "/api/v1/tokens"])
def test_the_api_names_the_methods_it_takes(node: TestNode, target: str) -> None:
    answer = send(node, request(target, b"{}", method="PUT", key=node.key))
    assert is_problem(answer, 405)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"POST /invoke/t/f HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n",
        b"POST /invoke/t/f HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
        b"POST /invoke/t/f HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        b"POST /invoke/t/f HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /invoke/t/f HTTP/1.1\r\nHost: a\r\nContent-Length: 1e1\r\n\r\n",
        b"POST /invoke/t/f HTTP/1.1\r\n\r\n",
        b"POST /invoke/t/f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(node: TestNode, raw: bytes) -> None:
    assert send(node, raw).status in (400, 431, 501, 505)


def test_a_request_that_is_half_sent_runs_nothing(node: TestNode) -> None:
    whole = request(TARGET, b'{"half": true}', key=node.key)
    before = node.get("/invocations", limit=1)["invocations"]
    with ExitStack() as stack:
        for end in (1, 10, len(whole) - 30, len(whole) - 1):
            sock = stack.enter_context(connect(node.port))
            sock.sendall(whole[:end])
            sock.shutdown(socket.SHUT_WR)
            rest = sock.recv(4096)
            assert rest == b"" or b" 400 " in rest.split(b"\r\n")[0], rest
    assert node.get("/invocations", limit=1)["invocations"] == before


def test_a_head_that_never_ends_is_ended(node: TestNode) -> None:
    with connect(node.port) as sock:
        sock.sendall(request(TARGET, key=node.key)[:60])
        assert is_problem(read_answer(sock), 408)


# -- tokens ------------------------------------------------------------------------------------

NO_TOKENS = {
    "none": None,
    "empty": "",
    "other scheme": "Basic Y206Y20=",
    "no secret": "Bearer",
    "not ours": "Bearer abc",
    "unknown id": "Bearer cm_0000000000000000_" + "A" * 43,
    "not ASCII": "Bearer cm_é",
    "very long": "Bearer cm_" + "A" * 5000,
}


@pytest.mark.parametrize("name", NO_TOKENS)
def test_without_a_valid_token_everything_looks_the_same(node: TestNode, name: str) -> None:
    value = NO_TOKENS[name]
    headers = (JSON,) if value is None else (JSON, ("Authorization", value))
    seen = set()
    for target in (TARGET, "/invoke/t/nothing", "/invoke/no/thing", "/nothing", "/invoke/t"):
        answer = send(node, request(target, b"{}", headers=headers))
        assert is_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        document = json.loads(answer.body)
        del document["error_id"]
        seen.add(json.dumps(document))
    assert len(seen) == 1
    for target in ("/api/v1/functions", "/api/v1/node", "/api/v1/nothing", "/api/v2"):
        answer = send(node, request(target, method="GET", headers=headers[1:]), "GET")
        assert is_problem(answer, 401)


def test_a_token_with_one_letter_changed_is_no_token(node: TestNode) -> None:
    key = node.key
    for position in (3, len(key) // 2, len(key) - 1):
        letter = "A" if key[position] != "A" else "B"
        wrong = key[:position] + letter + key[position + 1 :]
        answer = send(node, request(TARGET, b"{}", key=wrong))
        assert is_problem(answer, 401)


def test_an_unknown_function_is_404_with_a_token(node: TestNode) -> None:
    for target in ("/invoke/t/nothing", "/invoke/no/thing"):
        assert is_problem(post(node, target), 404)


def make_token(node: TestNode, name: str, role: str) -> tuple[str, str]:
    made = node.client.post(f"{node.url}/api/v1/tokens", json={"name": name, "roles": [role]})
    assert made.status_code == 201, made.text
    return made.json()["token"]["id"], made.json()["text"]


def test_a_revoked_token_ends_at_once_even_on_an_open_connection(node: TestNode) -> None:
    token_id, text = make_token(node, "soon-revoked", "invoker")
    with connect(node.port) as sock:
        sock.sendall(request(TARGET, b"{}", key=text))
        assert read_answer(sock).status == 200
        node.client.delete(f"{node.url}/api/v1/tokens/{token_id}").raise_for_status()
        sock.sendall(request(TARGET, b"{}", key=text))
        assert is_problem(read_answer(sock), 401)


def test_an_invoker_calls_functions_and_nothing_else(node: TestNode, echo: Bundle) -> None:
    token_id, text = make_token(node, "only-calls", "invoker")
    owner_id = node.key.split("_")[1]
    assert send(node, request(TARGET, b"{}", key=text)).status == 200
    for method, target, body in [
        ("GET", "/api/v1/functions/t/f", b""),
        ("GET", "/api/v1/users", b""),
        ("GET", "/api/v1/secrets/t", b""),
        ("GET", "/api/v1/policies", b""),
        ("GET", "/api/v1/backup", b""),
        ("GET", "/api/v1/logs", b""),
        ("POST", "/api/v1/tokens", b'{"name":"x","roles":["owner"]}'),
        ("DELETE", "/api/v1/functions/t/f", b""),
        ("POST", "/api/v1/functions/t/f/versions", b'{"digest":"%s"}' % echo.digest.encode()),
        ("PUT", f"/api/v1/bundles/{echo.digest}", b"x"),
        ("DELETE", f"/api/v1/tokens/{owner_id}", b""),
    ]:
        answer = send(node, request(target, body, method=method, key=text), method)
        assert is_problem(answer, 403), (method, target)
    listed = send(node, request("/api/v1/functions", method="GET", key=text), "GET")
    assert json.loads(listed.body) == {"functions": []}, "what one may not see is not listed"
    node.client.delete(f"{node.url}/api/v1/tokens/{token_id}").raise_for_status()


def test_the_last_owners_token_cannot_be_revoked(node: TestNode) -> None:
    owner = next(t for t in node.get("/tokens")["tokens"] if t["roles"] == ["owner"])
    answer = node.client.delete(f"{node.url}/api/v1/tokens/{owner['id']}")
    assert answer.status_code == 409
    assert "owner" in answer.json()["detail"] and answer.json()["next_step"]


# -- bundles -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other() -> Bundle:
    """A bundle that the node has never got whole."""
    return make_bundle(ECHO.replace("event}", "event, 1: 2}"), name="other")


@pytest.fixture(scope="module")
def broken_archives(other: Bundle) -> dict[str, bytes]:
    """All of them at once: to compress the bomb takes a second."""
    sound = other.archive()
    plain = gzip.decompress(sound)
    middle = len(plain) // 2
    return {
        "empty": b"",
        "text": b"this is not a bundle",
        "random": os.urandom(5000),
        "gzip of nothing": gzip.compress(b""),
        "gzip of text": gzip.compress(b"hello" * 1000),
        "gzip of random": gzip.compress(os.urandom(5000)),
        "cut": sound[: len(sound) // 2],
        "cut at the end": sound[:-1],
        "followed by more": sound + b"more",
        "twice": sound + sound,
        "one bit changed": gzip.compress(
            plain[:middle] + bytes([plain[middle] ^ 1]) + plain[middle + 1 :]
        ),
        "not compressed": plain,
        "a bomb": gzip.compress(bytes(200 * MIB), 9),
    }


@pytest.mark.parametrize(
    "name",
    ["empty", "text", "random", "gzip of nothing", "gzip of text", "gzip of random", "cut",
     "cut at the end", "followed by more", "twice", "one bit changed", "not compressed",
     "a bomb"],
)  # fmt: skip
def test_what_is_not_a_bundle_is_refused(
    node: TestNode, other: Bundle, broken_archives: dict[str, bytes], name: str
) -> None:
    answer = upload(node, other.digest, broken_archives[name])
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]
    held = node.client.head(f"{node.url}/api/v1/bundles/{other.digest}")
    assert held.status_code == 404


def test_a_bundle_under_another_digest_is_refused(node: TestNode, echo: Bundle) -> None:
    for digest in ("0" * 64, echo.declared(name="g").digest):
        assert upload(node, digest, echo.archive()).status_code == 422


@pytest.mark.parametrize("digest", ["0", "G" * 64, "0" * 63, "0" * 65, "A" * 64, "..", "%2e%2e"])
def test_a_digest_that_is_none_is_refused(node: TestNode, echo: Bundle, digest: str) -> None:
    raw = request(
        f"/api/v1/bundles/{digest}",
        echo.archive(),
        method="PUT",
        key=node.key,
        headers=(("Content-Type", "application/gzip"),),
    )
    assert is_problem(send(node, raw, "PUT"), 400)


@pytest.mark.parametrize("content_type", ["application/json", "application/zip", "text/plain"])
def test_a_bundle_of_another_type_is_refused(
    node: TestNode, echo: Bundle, content_type: str
) -> None:
    headers = {"content-type": content_type}
    answer = node.client.put(
        f"{node.url}/api/v1/bundles/{'0' * 64}", content=echo.archive(), headers=headers
    )
    assert answer.status_code == 415


def test_a_bundle_is_deployed_under_its_own_name_only(node: TestNode, echo: Bundle) -> None:
    for name in ("t/other", "other/f"):
        answer = deploy(node, echo, name=name)
        # Whose it is instead is not for who only knows its digest.
        assert answer.status_code == 404
        assert name in answer.json()["detail"] and "t/f" not in answer.text.replace(name, "")
        assert "that it was built for" in answer.json()["next_step"]


def test_a_bundle_that_was_not_uploaded_is_missing(node: TestNode, echo: Bundle) -> None:
    answer = deploy(node, echo.declared(description="never sent"))
    assert answer.status_code == 404
    assert answer.json()["next_step"]


def test_a_bundle_for_a_python_that_is_missing_is_refused(
    node: TestNode, echo: Bundle, uploaded: set[str]
) -> None:
    offered = echo.manifest.function.python
    bundle = echo.declared(python="3.14" if offered != "3.14" else "3.13")
    uploaded.add(bundle.digest)
    assert upload(node, bundle.digest, bundle.archive()).status_code == 201
    answer = deploy(node, bundle)
    assert answer.status_code == 422
    document = answer.json()
    assert str(bundle.manifest.function.python) in document["detail"]
    assert document["next_step"]


def test_a_handler_that_cannot_be_imported_is_not_deployed(
    node: TestNode, echo: Bundle, uploaded: set[str]
) -> None:
    for handler, wanted in (("app:missing", "ImportError"), ("nothing:handler", "ModuleNotFound")):
        bundle = echo.declared(handler=handler)
        uploaded.add(bundle.digest)
        assert upload(node, bundle.digest, bundle.archive()).status_code == 201
        answer = deploy(node, bundle)
        assert answer.status_code == 422
        assert wanted in answer.json()["failure"]["type"]
