"""Functions in their real sandbox reach what they are granted of the network, and no more."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from casemate.manifest import ManifestError
from support.attacks import EGRESS, attempt, denials, until
from support.cli import casemate
from support.egress import HttpOrigin, Origin, TestAuthority, echo
from support.node import UNGUARDED, TestNode
from support.processes import zygotes_of
from support.servers import postgresql, valkey

SHARES_NODE = True
FUNCTIONS = Path(__file__).parent.parent / "functions"
SOURCE = (FUNCTIONS / "egress" / "app.py").read_text()
LOCAL = 'private = true, exception = "a server of the test"'
NO_NETWORK = {"EACCES", "ENETUNREACH"}
"""Refused by Landlock, where the kernel's handles TCP, and else by the empty namespace."""
NO_LISTENER = {"EACCES", "ECONNREFUSED"}


@pytest.fixture(scope="module")
def origin() -> Iterator[HttpOrigin]:
    with HttpOrigin() as running:
        yield running


def grant(port: int, *, host: str = "localhost", forward: int | None = None) -> str:
    forwarded = "" if forward is None else f", forward = {forward}"
    return f'{{ host = "{host}", port = {port}{forwarded}, {LOCAL} }}'


def deploy(node: TestNode, name: str, *grants: str, **rest: Any) -> str:
    """Deploy the function under a name with grants; return how it is invoked."""
    listed = f"egress = [{', '.join(grants)}]" if grants else ""
    node.deploy(SOURCE, name=name, grants=listed, approve=True, unguarded=True, **rest)
    return f"t/{name}"


@pytest.fixture(scope="module")
def caller(node: TestNode, origin: HttpOrigin) -> str:
    """A function that may reach the origin by the proxy."""
    return deploy(node, "caller", grant(origin.port))


def do(node: TestNode, function: str, what: str, **arguments: Any) -> Any:
    return attempt(node, function, {"do": what, **arguments}).answer


# -- what is granted works -------------------------------------------------------------------


def test_urllib_by_the_proxy(node: TestNode, caller: str, origin: HttpOrigin) -> None:
    url = f"http://localhost:{origin.port}/path?q=1"
    for body in (None, "x" * 100_000):
        answer = do(node, caller, "get", url=url, body=body)
        assert answer == {"status": 200, "text": "hello " + (body or "")}
    shown = until(lambda: uses(node, "caller"))
    assert [(use["grant"], use["action"]) for use in shown] == [
        (f"egress localhost:{origin.port}", "connect")
    ]


def uses(node: TestNode, name: str) -> list[dict[str, Any]]:
    done = casemate(node, "grants", "show", f"t/{name}", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["uses"]
    return found


def test_tls_by_the_proxy(node: TestNode) -> None:
    """End to end: the function verifies the server's certificate itself."""
    authority = TestAuthority()
    with HttpOrigin(authority.context("localhost")) as secure:
        function = deploy(node, "secure", grant(secure.port))
        pem = authority.path.read_text()
        url = f"https://localhost:{secure.port}/"
        answer = do(node, function, "secure", url=url, authority=pem)
        assert answer == {"status": 200, "text": "hello "}
        url = f"https://127.0.0.1:{secure.port}/"
        assert "403" in do(node, function, "secure", url=url, authority=pem)["error"]


@pytest.fixture(scope="module")
def clients(
    node: TestNode, origin: HttpOrigin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A function with the clients that people use, a database and a cache."""
    folder = tmp_path_factory.mktemp("clients")
    shutil.copytree(FUNCTIONS / "clients", folder, dirs_exist_ok=True)
    cache = tmp_path_factory.mktemp("cache")
    with postgresql() as database, valkey(cache) as keys:
        granted = ", ".join(
            [
                grant(origin.port),
                grant(database, forward=15432),
                grant(keys, host="127.0.0.1", forward=16379),
            ]
        )
        (folder / "casemate.toml").write_text(
            '[project]\nname = "t"\n[function.clients]\nhandler = "app:handler"\n'
            'requirements = "requirements.txt"\n'
            '[function.clients.limits]\nmemory = "512MB"\ntimeout = "30s"\n'
            f"[function.clients.grants]\negress = [{granted}]\n" + UNGUARDED.format(name="clients")
        )
        node.deploy(folder, approve=True)
        yield "t/clients"


@pytest.mark.parametrize("client", ["requests", "httpx"])
def test_http_clients(node: TestNode, clients: str, origin: HttpOrigin, client: str) -> None:
    url = f"http://localhost:{origin.port}/path"
    answer = node.invoke({"client": client, "url": url}, function=clients).json()
    assert answer == {"result": ["hello ", "hello " + "x" * 100_000, "hello "]}


@pytest.mark.parametrize("client", ["requests", "httpx"])
def test_http_clients_are_told_what_is_missing(
    node: TestNode, clients: str, origin: HttpOrigin, client: str
) -> None:
    url = f"http://other.example.com:{origin.port}/"
    answer = node.invoke({"client": client, "url": url}, function=clients).json()
    assert "not granted egress to other.example.com" in answer["result"][0]


def test_boto3(node: TestNode, clients: str, origin: HttpOrigin) -> None:
    url = f"http://localhost:{origin.port}"
    answer = node.invoke({"client": "boto3", "url": url}, function=clients).json()
    assert answer == {"result": [True, True, "none"]}


def test_psycopg_by_a_forward(node: TestNode, clients: str) -> None:
    for rows in (1, 2):
        answer = node.invoke({"client": "psycopg", "port": 15432}, function=clients).json()
        assert answer == {"result": [20_000 * rows, str(199_990_000 * rows)]} or answer == {
            "result": [20_000 * rows, 199_990_000 * rows]
        }


def test_redis_by_a_forward(node: TestNode, clients: str) -> None:
    answer = node.invoke({"client": "redis", "port": 16379}, function=clients).json()
    assert answer == {"result": [1000, 2_000_000, "now"]}


# -- what is not granted does not ------------------------------------------------------------


def test_what_is_not_granted_is_refused_and_recorded(
    node: TestNode, caller: str, origin: HttpOrigin
) -> None:
    before = len(origin.requests)
    for host, port in (("127.0.0.1", origin.port), ("localhost", origin.port + 1), ("x.org", 80)):
        tried = attempt(node, caller, {"do": "get", "url": f"http://{host}:{port}/"})
        assert tried.answer["status"] == 403
        assert f"not granted egress to {host}:{port}" in tried.answer["text"]
        found = until(lambda: refused(node, "caller", f"{host}:{port}"))  # noqa: B023
        assert found[0]["reason"] == "not granted"
        assert found[0]["action"] == "egress:connect"
        assert found[0]["principal"] == "function:t/caller"
    assert len(origin.requests) == before


def refused(node: TestNode, name: str, host: str) -> list[dict[str, Any]]:
    found = denials(node, kind=EGRESS, project="t", function=name, seconds=0)
    return [denial for denial in found if denial["resource"].endswith(host)]


def test_addresses_that_are_not_public_are_refused_without_being_tried(
    node: TestNode, caller: str
) -> None:
    for host in ("169.254.169.254", "10.0.0.1", "[::1]", "0177.0.0.1", "2130706433", "metadata"):
        answer = do(node, caller, "get", url=f"http://{host}/latest/meta-data/")
        assert answer["status"] in {400, 403}, host
    found = until(lambda: refused(node, "caller", "169.254.169.254:80"))
    assert found[0]["reason"] == "not granted"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "169.254.169.254", "10.0.0.1", "::1"])
def test_a_manifest_does_not_grant_them_by_the_way(node: TestNode, host: str) -> None:
    """Without `private` and its exception no such function is even built."""
    with pytest.raises(ManifestError, match="private"):
        deploy(node, "public", f'{{ host = "{host}", port = 80 }}')


def test_a_name_of_an_address_of_the_host_needs_private(node: TestNode, origin: HttpOrigin) -> None:
    """The host's own name leads to one of its addresses, which no plain grant covers."""
    name = socket.gethostname().lower()
    try:
        socket.getaddrinfo(name, origin.port)
    except OSError:
        pytest.skip("the host's own name is not resolved here")
    function = deploy(node, "own", f'{{ host = "{name}", port = {origin.port} }}')
    answer = do(node, function, "get", url=f"http://{name}:{origin.port}/")
    assert answer["status"] == 403
    assert "does not cover" in answer["text"]
    assert "127." not in answer["text"]
    found = until(lambda: refused(node, "own", f"{name}:{origin.port}"))
    assert "address" in found[0]["reason"]


def test_without_a_grant_there_is_no_way_at_all(node: TestNode) -> None:
    """Neither the proxy nor so much as the loopback interface."""
    function = deploy(node, "nothing")
    assert do(node, function, "variables") == {}
    assert do(node, function, "early")["early"] == {"3128": "OSError", "16001": "OSError"}
    for port in (3128, node.port):
        assert do(node, function, "connect", port=port)["errno"] in NO_NETWORK
    assert "error" in do(node, function, "get", url="http://example.com/")


def test_a_client_that_ignores_the_proxy_reaches_nothing(
    node: TestNode, caller: str, origin: HttpOrigin
) -> None:
    assert set(do(node, caller, "variables").values()) == {"http://127.0.0.1:3128"}
    for port in (origin.port, node.port):
        assert do(node, caller, "connect", port=port)["errno"] in NO_LISTENER
    # Not even at the port that leads out, which Landlock lets through at every address.
    for address in ("192.0.2.1", "169.254.169.254"):
        for port in (80, 3128):
            tried = do(node, caller, "connect", port=port, address=address)
            assert tried["errno"] in NO_NETWORK


def test_nothing_is_connected_by_sending(node: TestNode, caller: str, origin: HttpOrigin) -> None:
    """MSG_FASTOPEN connects without connect(2), of which alone Landlock is asked."""
    for port in (3128, origin.port, node.port):
        tried = attempt(node, caller, {"do": "fast_open", "port": port})
        assert tried.answer == {"sent": ["EPERM"] * 2, "early": ["EPERM"] * 2}
        actions = {each["action"] for each in tried.denied()}
        assert actions >= {"sendto(MSG_FASTOPEN)", "sendmsg(MSG_FASTOPEN)"}


def test_functions_do_not_share_listeners(node: TestNode, origin: HttpOrigin) -> None:
    one = deploy(node, "one", grant(origin.port, forward=16001))
    two = deploy(node, "two", grant(origin.port, host="127.0.0.1"))
    assert do(node, one, "connect", port=16001)["connected"]
    # A forward alone brings no proxy; the other function's forward is not there.
    assert do(node, one, "connect", port=3128)["errno"] in NO_LISTENER
    assert do(node, two, "connect", port=16001)["errno"] in NO_LISTENER
    url = f"http://localhost:{origin.port}/"
    assert do(node, two, "get", url=url)["status"] == 403
    assert do(node, two, "get", url=f"http://127.0.0.1:{origin.port}/")["status"] == 200


def test_nothing_is_reached_at_import(node: TestNode, origin: HttpOrigin) -> None:
    function = deploy(
        node, "early", grant(origin.port), grant(origin.port, host="127.0.0.1", forward=16001)
    )
    for _ in range(2):
        found = do(node, function, "early")
        assert "403" in found["early"]["3128"]
        assert "import" in found["early"]["3128"]
        assert found["early"]["16001"] in {"", "ConnectionResetError"}
    reasons = {d["reason"] for d in denials(node, kind=EGRESS, project="t", function="early")}
    assert any("import" in reason for reason in reasons), reasons
    # Granted nevertheless, once an instance asks.
    assert do(node, function, "get", url=f"http://localhost:{origin.port}/")["status"] == 200


def test_a_connection_that_is_kept_from_import_is_an_error_of_it(
    node: TestNode, origin: HttpOrigin
) -> None:
    """All instances would share it."""
    source = SOURCE.replace("KEEP_EARLY = False", "KEEP_EARLY = True")
    problem = node.deploy(
        source,
        name="keeps",
        grants=f"egress = [{grant(origin.port)}]",
        approve=True,
        unguarded=True,
        expect=422,
    )
    assert "a connection" in problem["detail"]


# -- the end of connections ------------------------------------------------------------------


class Seen:
    """An origin that tells when its connections end."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.ended = threading.Event()

    def __call__(self, sock: socket.socket) -> None:
        try:
            sock.sendall(sock.recv(100))
            self.opened.set()
            while sock.recv(100):
                pass
        except OSError:
            pass
        finally:
            self.ended.set()


def test_a_connection_ends_with_its_instance(node: TestNode) -> None:
    seen = Seen()
    with Origin(seen) as held:
        function = deploy(node, "leaving", grant(held.port, forward=16001))
        do(node, function, "leave_open", port=16001)
        assert seen.opened.wait(5)
        assert seen.ended.wait(5)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    """A node whose processes may be killed: each is replaced."""
    running = TestNode(tmp_path_factory.mktemp("own") / "data").start()
    yield running
    running.close()


def test_a_connection_ends_with_its_zygote(own: TestNode) -> None:
    seen = Seen()
    with Origin(seen) as held, ThreadPoolExecutor(1) as pool:
        function = deploy(own, "holding", grant(held.port, forward=16001), limits='timeout = "60s"')
        holding = pool.submit(
            own.invoke, {"do": "hold", "port": 16001, "seconds": 40}, function=function
        )
        assert seen.opened.wait(10)
        assert not seen.ended.is_set()
        assert own.process is not None
        for pid in zygotes_of(own.process.pid):
            os.kill(pid, signal.SIGKILL)
        assert seen.ended.wait(5)
        assert holding.result(20).status_code >= 500
    # The next call brings a new one, with its way out.
    with Origin(echo) as again:
        function = deploy(own, "holding", grant(again.port, forward=16001))
        assert do(own, function, "connect", port=16001)["connected"]


@pytest.mark.parametrize("taken", ["grant", "function"])
def test_a_connection_ends_with_its_grant(node: TestNode, origin: HttpOrigin, taken: str) -> None:
    """Before: it stayed open until its call ended, whatever was deployed meanwhile."""
    seen = Seen()
    with Origin(seen) as held, ThreadPoolExecutor(1) as pool:
        both = grant(held.port, forward=16001), grant(origin.port)
        function = deploy(node, "taken", *both, limits='timeout = "60s"')
        pool.submit(node.invoke, {"do": "hold", "port": 16001, "seconds": 8}, function=function)
        assert seen.opened.wait(10)
        deploy(node, "taken", *both, limits='timeout = "50s"')
        deploy(node, "other", grant(origin.port))
        assert not seen.ended.wait(0.5), "nothing was taken away"
        if taken == "grant":
            deploy(node, "taken", limits='timeout = "50s"')
        else:
            gone = node.client.delete(f"{node.url}/api/v1/functions/{function}")
            assert gone.status_code < 300, gone.text
        assert seen.ended.wait(4)


def test_a_proxy_that_ends_is_replaced(own: TestNode) -> None:
    """Nothing falls back to anything meanwhile: connections end, and calls wait or fail."""
    seen = Seen()
    with Origin(seen) as held, HttpOrigin() as origin, ThreadPoolExecutor(1) as pool:
        url = f"http://localhost:{origin.port}/"
        function = deploy(own, "called", grant(origin.port), grant(held.port, forward=16001))
        assert do(own, function, "get", url=url)["status"] == 200
        pool.submit(own.invoke, {"do": "hold", "port": 16001, "seconds": 8}, function=function)
        assert seen.opened.wait(10)
        first = own.part("egress")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert seen.ended.wait(5)

        def works_again() -> bool:
            answer = own.invoke({"do": "get", "url": url}, function=function)
            if answer.status_code != 200:
                return False
            # What a function saw in between is an error of its connection.
            return bool(answer.json().get("status") == 200)

        assert until(works_again, 20)
        assert own.part("egress") not in {first, None}
        assert own.get("/node")["version"]
        assert "the egress proxy has ended" in own.errors.read_text()


SENDS = """
import socket

def handler(event, context):
    with socket.create_connection(("127.0.0.1", event["port"]), timeout=20) as sock:
        sock.sendall(b"x" * event["bytes"])
        sock.shutdown(socket.SHUT_WR)
        size = 0
        while data := sock.recv(1 << 16):
            size += len(data)
    return {"read": size}
"""


class _Counts:
    """A server that counts what really comes, and answers with half as much."""

    def __init__(self) -> None:
        self.came = 0

    def __call__(self, sock: socket.socket) -> None:
        size = 0
        while data := sock.recv(1 << 16):
            size += len(data)
        self.came += size
        sock.sendall(b"y" * (size // 2))


def test_bytes_are_metered_as_the_server_counts_them_through_kills(fresh_node: TestNode) -> None:
    """Of the proxy, between calls, and of the recorder."""
    node, counts = fresh_node, _Counts()
    with Origin(counts) as server:
        node.deploy(
            SENDS,
            name="sends",
            grants=f"egress = [{grant(server.port, forward=5432)}]",
            approve=True,
        )
        for kill in ("egress", "recorder", ""):
            answer = node.invoke({"port": 5432, "bytes": 2_000_000}, function="t/sends")
            assert answer.json() == {"read": 1_000_000}, answer.text
            # All of it: what a part has counted and not handed on yet is lost with it.
            until(lambda: carried(node) >= 1.5 * counts.came)
            if kill:
                os.kill(node.part(kill), signal.SIGKILL)
    [row] = [each for each in node.get("/usage")["rows"] if each["function"] == "sends"]
    assert counts.came == 6_000_000
    assert (row["egress_out"], row["egress_in"]) == (6_000_000, 3_000_000)


STREAMS = """
import socket

def handler(event, context):
    left = event["bytes"]
    try:
        with socket.create_connection(("127.0.0.1", event["port"]), timeout=20) as sock:
            while left:
                left -= sock.send(b"x" * min(left, 1 << 16))
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)
    except OSError as error:
        return {"error": type(error).__name__}
    return {"sent": event["bytes"]}
"""


class _Takes:
    """A server that counts each byte as it comes."""

    def __init__(self) -> None:
        self.taken = 0
        self.over = threading.Event()

    def __call__(self, sock: socket.socket) -> None:
        try:
            while data := sock.recv(1 << 16):
                self.taken += len(data)
        finally:
            self.over.set()


def test_a_hard_budget_in_bytes_ends_what_is_being_sent(node: TestNode) -> None:
    """Of a call that runs; 40 times as much is wanted. Then none is admitted until it is lifted."""
    counts = _Takes()
    with Origin(counts) as server:
        granted = f"egress = [{grant(server.port, forward=5432)}]"
        node.deploy(STREAMS, name="streams", grants=granted, approve=True)
        budget = f"{node.url}/api/v1/budgets/t/out"
        amount = 1_000_000
        wanted = {"amount": amount, "unit": "egress-out", "per": "day", "hard": True}
        wanted["function"] = "streams"
        assert node.client.put(budget, json=wanted).status_code == 200
        ended = node.invoke({"port": 5432, "bytes": 40_000_000}, function="t/streams").json()
        assert ended["error"] in ("ConnectionResetError", "BrokenPipeError"), ended
        assert counts.over.wait(30)  # it may read on when the function has been told already
        beyond = counts.taken - amount
        # Less than 256 KiB untold, and what passes until the proxy is told: mostly 0.2 to 1.5 MB.
        assert 0 <= beyond <= 8 * amount, beyond
        assert node.invoke({"port": 5432, "bytes": 1}, function="t/streams").status_code == 429
        lifted = {"seconds": 60, "reason": "a test"}
        assert node.client.post(f"{budget}/lift", json=lifted).status_code == 200
        again = node.invoke({"port": 5432, "bytes": 500_000}, function="t/streams").json()
        assert again == {"sent": 500_000}
        assert node.client.delete(budget).status_code == 204


KILLED_SECONDS = 0.5
"""Of what a gateway takes along that is killed: what it groups, and a commit of the recorder."""


@pytest.mark.storm
def test_a_gateway_that_is_killed_takes_along_a_moment_of_what_was_carried(
    fresh_node: TestNode,
) -> None:
    """Between proxy and recorder: that of half a second at the most, and none counts twice."""
    node, counts = fresh_node, _Takes()
    with Origin(counts) as server, ThreadPoolExecutor() as pool:
        granted = f"egress = [{grant(server.port, forward=5432)}]"
        paced = STREAMS.replace("left -= sock", "time.sleep(0.005); left -= sock")
        source = paced.replace("import socket", "import socket, time")
        node.deploy(source, name="streams", grants=granted, approve=True)
        lost = most = 0
        for _ in range(3):
            before, began = counts.taken, time.monotonic()
            pool.submit(_in_vain, node, {"port": 5432, "bytes": 200_000_000})
            until(lambda before=before: counts.taken > before + 8_000_000)
            rate = (counts.taken - before) / (time.monotonic() - began)
            os.kill(node.part("gateway"), signal.SIGKILL)
            until(lambda: node.client.get(f"{node.url}/api/v1/ready").status_code == 200)
            most += int(rate * KILLED_SECONDS)
            lost = counts.taken - carried(node)
            print(f"lost {lost} of {counts.taken} at {rate:.0f} a second")
            assert 0 <= lost <= most


def _in_vain(node: TestNode, event: dict[str, int]) -> None:
    with contextlib.suppress(httpx2.HTTPError):
        node.invoke(event, function="t/streams")


def carried(node: TestNode) -> int:
    rows = node.get("/usage")["rows"]
    return sum(int(each.get(name, 0)) for each in rows for name in ("egress_in", "egress_out"))


def restrict(node: TestNode, *words_: str) -> str:
    done = casemate(node, "restrict", "set", *words_, "--reason", "a test", "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def lift(node: TestNode, id: str) -> None:
    assert casemate(node, "restrict", "lift", id, "--reason", "over").returncode == 0


@pytest.mark.parametrize(
    "scope",
    [
        ("--project", "t", "--function", "caller"),
        pytest.param((), id="node", marks=pytest.mark.storm),
    ],
)
def test_a_host_that_is_cut_off_is_reached_by_nobody_until_it_is_lifted(
    node: TestNode, caller: str, origin: HttpOrigin, scope: tuple[str, ...]
) -> None:
    url = f"http://localhost:{origin.port}/"
    assert do(node, caller, "get", url=url)["status"] == 200
    id = restrict(node, "host", "localhost", *scope)
    answer = do(node, caller, "get", url=url)
    assert answer["status"] == 403 and "cut off" in answer["text"]
    # A zygote that is opened from now on is cut off from its start; so is a proxy that comes back.
    other = deploy(node, "later", grant(origin.port))
    assert do(node, other, "get", url=url)["status"] == (200 if scope else 403)
    pid = node.part("egress")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: node.part("egress") not in (None, pid))
    until(lambda: do(node, caller, "get", url=url).get("status") == 403)
    lift(node, id)
    assert do(node, caller, "get", url=url)["status"] == 200


def test_no_call_is_taken_from_a_blocked_address_and_the_api_answers(
    node: TestNode, caller: str
) -> None:
    id = restrict(node, "address", "127.0.0.0/8", "--project", "t")
    try:
        answer = node.invoke({"do": "env"}, function=caller)
        assert answer.status_code == 403 and "address" not in answer.text
    finally:
        lift(node, id)
    assert node.invoke({"do": "env"}, function=caller).status_code != 403
