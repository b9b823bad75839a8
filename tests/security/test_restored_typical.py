"""Code as people write it is used again; what is told of it, and of what is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from bench.typical import PROXIED, TAINTING, TYPICAL

from casemate.restorer.probe import restoring_problem
from support.node import TestNode

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(restoring_problem()), reason=restoring_problem()),
]
_CALLS = 6
_LIMITS = 'memory = "512MB"\ntmp = "16MB"'


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    running = TestNode(tmp_path_factory.mktemp("node") / "data", "--restore").start()
    yield running
    running.close()


def figures(node: TestNode, name: str) -> dict[str, Any]:
    answer = node.client.get(f"{node.url}/api/v1/functions/t/{name}/restoring")
    answer.raise_for_status()
    return answer.json()


# Every other one; all of them in the long run.
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=what, marks=(pytest.mark.storm,) if number % 2 else ())
        for number, what in enumerate(TYPICAL)
    ],
)
def test_its_process_is_used_again(node: TestNode, address: str, number: int) -> None:
    what, source = list(TYPICAL.items())[number]
    name = f"typical-{number}"
    host, port = address.split(":")
    grant = (
        f'{{ host = "{host}", port = {port}, private = true, exception = "a server of the test" }}'
    )
    grants = f"egress = [{grant}]" if what in PROXIED else ""
    node.deploy(
        source, name=name, grants=grants, limits=_LIMITS, unguarded=bool(grants), approve=True
    )
    event = {"n": 1, "url": f"http://{address}/"}

    def restored() -> int:
        answer = node.invoke(event, function=f"t/{name}")
        assert answer.status_code == 200, answer.text
        return int(figures(node, name)["restored"])

    if what in TAINTING:
        for _ in range(_CALLS):
            restored()
        node.wait_until(lambda: restored() == 0 and figures(node, name)["discarded"] > 0, 20)
        told = figures(node, name)["reasons"]
        assert told[0]["change"]
        return
    node.wait_until(lambda: restored() >= _CALLS, 20)
    assert figures(node, name)["discarded"] == 0, figures(node, name)["reasons"]
