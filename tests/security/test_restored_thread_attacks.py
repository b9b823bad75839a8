"""Threads that a hostile call leaves at work, through a whole node: nobody else meets them.

Each of them works on while the answer is sent, and is to find, or to leave, something in the next
call of the same process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from casemate.restorer.probe import restoring_problem
from support.node import TestNode

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(restoring_problem()), reason=restoring_problem()),
]
CODE = """
import ctypes, os, socket, sys, threading, time
state, area = {}, bytearray(4096)
libc = ctypes.CDLL(None)

def start(function, count=1):
    for _ in range(count):
        threading.Thread(target=function, daemon=True).start()

def handler(event, context):
    found = [sorted(state), bytes(area[:8]).hex(), threading.active_count()]
    if "run" in event:
        exec(event["run"], dict(globals(), event=event, context=context))
    print("line of " + event["who"])
    return {"found": found, "who": event["who"], "pid": id(state)}
"""
ATTACKS = {
    "prints": "def f():\n while True: print('SECRET'); time.sleep(0.0002)\nstart(f)",
    "writes to its output": "def f():\n while True: os.write(1, b'SECRET\\n')\nstart(f)",
    "logs": "def f():\n while True: context.log.info('SECRET')\nstart(f)",
    "sends on the socket": (
        "def f():\n while True: os.write(3, b'SECRET'); time.sleep(0.0005)\nstart(f)"
    ),
    "sends an answer of its own": (
        "def f():\n time.sleep(0.001)\n"
        " while True: libc.send(3, b'\\x00\\x00\\x00\\x08\"SECRET\"', 12, 0)\nstart(f)"
    ),
    "reads what comes": "def f():\n while True: state['got'] = os.read(3, 65536)\nstart(f, 4)",
    "peeks at what comes": (
        "buffer = ctypes.create_string_buffer(9000)\n"
        "def f():\n while True: libc.recv(3, buffer, 9000, 0); state['got'] = buffer.raw\nstart(f)"
    ),
    "asks for something": "def f():\n while True: context.secret('SECRET')\nstart(f)",
    "writes to memory": (
        "def f():\n while True: area[:8] = b'SECRETSE'; state['x'] = 1\nstart(f, 3)"
    ),
    "computes in many": "def f():\n while True: pass\nstart(f, 3)",
    "keeps the lock of Python": "start(lambda: pow(7, 10**6, 10**30000))",
    "starts others": "def f():\n start(f, 2); time.sleep(0.001)\nstart(f)",
    "forks": "def f():\n time.sleep(0.001)\n os.fork() or time.sleep(9)\nstart(f)",
    "opens files": "def f():\n while True: state[len(state)] = os.pipe()\nstart(f)",
    "leaves files": "def f():\n while True: open(f'/tmp/{time.time()}', 'w').write('x')\nstart(f)",
    "changes its folder": "def f():\n while True: os.chdir('/tmp'); os.chdir('/')\nstart(f)",
    "ends it": "def f():\n time.sleep(0.0005); os._exit(0)\nstart(f)",
    "faults": "def f():\n time.sleep(0.0005); ctypes.string_at(8)\nstart(f)",
    "sends a signal": "import signal\ndef f():\n while True: os.kill(os.getpid(), 10)\nstart(f)",
    "closes what is kept": "def f():\n time.sleep(0.0005); os.close(3); os.close(1)\nstart(f)",
}
TURNS, OTHERS = 4, 5
"""Where one call in six costs the process its use, not all others are forked."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    running = TestNode(tmp_path_factory.mktemp("node") / "data", "--restore").start()
    yield running
    running.close()


@pytest.mark.parametrize("number", range(len(ATTACKS)), ids=list(ATTACKS))
def test_nobody_meets_it(node: TestNode, number: int) -> None:
    name = f"attack-{number}"
    node.deploy(CODE, name=name, unguarded=True, limits='timeout = "5s"')
    run = list(ATTACKS.values())[number]

    def call(**event: Any) -> Any:
        return node.invoke(event, function=f"t/{name}")

    pristine = call(who="first").json()["found"]
    for turn in range(TURNS):
        call(who=f"attacker {turn}", run=run)  # however it ends
        for other in range(OTHERS):
            who = f"caller {turn}.{other}"
            answer = call(who=who)
            assert answer.status_code == 200, answer.text
            assert answer.json()["who"] == who and answer.json()["found"] == pristine
            logged = node.client.get(
                f"{node.url}/api/v1/logs",
                params={"invocation": answer.headers["x-request-id"]},
            ).text
            assert "SECRET" not in logged and "attacker" not in logged
