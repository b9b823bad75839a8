"""A value that one invocation was given is not to be had in another one, at import, or on disk.

An invocation cannot read its memory by /proc, which is not there: it has the kernel copy every
page that is mapped around what it can name. That finds the value where it is, in the invocation
that was given it, which shows that it would find it elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.drills import ATTACKER
from support.attacks import CAPABILITY, attempt
from support.cli import casemate
from support.lingering import lingering
from support.node import TestNode

SHARES_NODE = True
SOURCE = Path(__file__).parent.parent / "functions" / "attacks" / "capabilities.py"
GRANTS = 'secrets = ["api-key"]'
VALUE = "kp7!" + secrets.token_hex(20)
_MASK = secrets.token_bytes(len(VALUE))
HALVES = {
    "mask": _MASK.hex(),
    "other": bytes(a ^ b for a, b in zip(_MASK, VALUE.encode(), strict=True)).hex(),
}
"""The value in two parts, so that who looks for it does not bring it along."""


@pytest.fixture(scope="module")
def keeper(node: TestNode) -> Iterator[TestNode]:
    """The node with `t/keeper`, which may read the secret, and others, which may not."""
    done = casemate(node, "secrets", "set", "t/api-key", stdin=VALUE)
    assert done.returncode == 0, done.stderr
    assert VALUE not in done.stdout + done.stderr
    source = SOURCE.read_text()
    node.deploy(source, name="keeper", grants=GRANTS, approve=True)
    node.deploy(source, name="untrusted", grants=GRANTS, approve=True, settings='trust = "low"')
    node.deploy(source, name="neighbour")
    yield node


@pytest.mark.parametrize("function", ["t/keeper", "t/untrusted"])
def test_who_is_given_it_has_it(keeper: TestNode, function: str) -> None:
    """The search works: it finds the value in the invocation that has it."""
    found = attempt(keeper, function, {"attack": "keep_and_recall", **HALVES}).answer
    assert found["length"] == len(VALUE)
    assert found["hits"] > 0
    assert found["scanned"] > 5_000_000


@pytest.mark.parametrize("function", ["t/keeper", "t/untrusted", "t/neighbour"])
def test_a_later_invocation_finds_nothing(keeper: TestNode, function: str) -> None:
    for _ in range(3):
        attempt(keeper, "t/keeper", {"attack": "read_secret"})
        attempt(keeper, "t/untrusted", {"attack": "read_secret"})
        tried = attempt(keeper, function, {"attack": "recall", **HALVES})
        assert tried.answer["hits"] == 0
        assert tried.answer["scanned"] > 5_000_000
        assert tried.recorded()


@pytest.mark.parametrize("trust", ["normal", "low"])
def test_the_import_finds_nothing(keeper: TestNode, trust: str) -> None:
    attempt(keeper, "t/keeper", {"attack": "read_secret"})
    at_import = (
        f"\nFOUND = search({HALVES['mask']!r}, {HALVES['other']!r})\n"
        "def handler(event, context):\n    return FOUND\n"
    )
    keeper.deploy(
        SOURCE.read_text() + at_import,
        name=f"import-{trust}",
        grants=GRANTS,
        approve=True,
        settings=f'trust = "{trust}"',
    )
    tried = attempt(keeper, f"t/import-{trust}", {})
    assert tried.answer["hits"] == 0
    assert tried.answer["scanned"] > 5_000_000
    assert tried.recorded()


@pytest.mark.parametrize("when", ["import", "call"])
def test_the_import_cannot_ask_for_it(keeper: TestNode, when: str) -> None:
    """There is no context at import, and what is on descriptor 3 there does not speak to it."""
    body = (
        "import socket, os\n"
        "def ask():\n"
        "    try:\n"
        "        sock = socket.socket(fileno=os.dup(3))\n"
        "        sock.settimeout(0.5)\n"
        "        sock.send(frame(b'C', {'n': 1, 'op': 'secret.get', 'name': 'api-key'}))\n"
        "        return repr(sock.recvmsg(4096, 4096)[:2])\n"
        "    except OSError as error:\n"
        "        return str(error)\n"
    )
    source = SOURCE.read_text() + body
    source += "ANSWER = ask()\n" if when == "import" else "ANSWER = None\n"
    source += "def handler(event, context):\n    return {'answer': ANSWER or ask()}\n"
    name = f"ask-at-{when}"
    keeper.deploy(source, name=name, expect=201 if when == "call" else 503)
    if when == "call":
        # In an invocation it is the request that everybody may make, and is decided.
        tried = attempt(keeper, f"t/{name}", {})
        assert "denied" in tried.answer["answer"]
        (denial,) = tried.denied("secret:read", kind=CAPABILITY)
        assert denial["reason"] == "not granted"
        return
    # The supervisor takes nothing but its own records from a zygote: it ends this one and says so.
    assert f"of t/{name} is ended: a record of the wrong size" in keeper.errors.read_text()


@pytest.mark.parametrize("function", ["neighbour", "nobody"])
def test_without_the_grant_it_is_denied(keeper: TestNode, function: str) -> None:
    source = SOURCE.read_text()
    keeper.deploy(source, name=function, project="other")
    for asking in (f"other/{function}", "t/neighbour"):
        head = {"n": 1, "op": "secret.get", "name": "api-key"}
        tried = attempt(keeper, asking, {"attack": "request", "head": head})
        assert tried.answer["replies"][0]["error"] == "denied"
        (denial,) = tried.denied("secret:read", kind=CAPABILITY)
        assert denial["principal"] == f"function:{asking}"


def cores() -> set[Path]:
    """Return the files that a kernel may have written of a process; others may come and go."""
    found = set()
    for path in (*Path("/tmp").glob("core*"), *Path("/").glob("core*")):
        with contextlib.suppress(OSError), path.open("rb") as file:
            head = file.read(18)
            if head[:4] == b"\x7fELF" and head[16:18] in (b"\4\0", b"\0\4"):  # ET_CORE
                found.add(path)
    return found


def test_no_core_is_left_of_it(keeper: TestNode) -> None:
    """Even by a function that makes itself dumpable: the limit on cores is none, for good."""
    before = cores()
    tried = attempt(keeper, "t/keeper", {"attack": "abort"})
    assert tried.response.status_code == 500
    assert tried.recorded("crashed")
    assert "was killed by signal" in tried.error["message"]
    assert cores() <= before


def test_it_cannot_reach_swap(keeper: TestNode) -> None:
    """The control group of an instance may swap nothing out, where the kernel can be told so."""
    keeper.deploy(ATTACKER.read_text(), name="swapper", grants=GRANTS, approve=True)
    with lingering(keeper, "t/swapper", "swapper", 4) as pid:
        places = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().split()]
        limits = {
            file: file.read_text().strip()
            for _, controllers, path in places
            for root in ("/sys/fs/cgroup", f"/sys/fs/cgroup/{controllers}")
            for file in Path(root + path).glob("memory.*sw*")
            if file.name in ("memory.swap.max", "memory.memsw.limit_in_bytes")
        }
        plain = {f: f.with_name("memory.limit_in_bytes") for f in limits if "memsw" in f.name}
        for file, value in limits.items():
            assert value == (plain[file].read_text().strip() if file in plain else "0"), file
    if not limits:
        pytest.skip("this kernel does not count swap")


def test_it_is_in_no_environment(keeper: TestNode) -> None:
    """Neither the function's own nor one that the host shows of any process of the node."""
    keeper.deploy(ATTACKER.read_text(), name="looker", grants=GRANTS, approve=True)
    tried = attempt(keeper, "t/looker", {"attack": "environment"})
    assert VALUE not in json.dumps(tried.answer)
    assert tried.recorded()
    for pid in keeper.processes():
        for name in ("environ", "cmdline"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has ended
                assert VALUE.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_it_leaves_by_no_error_and_no_log(keeper: TestNode) -> None:
    tried = attempt(keeper, "t/keeper", {"attack": "raise_secret"})
    assert tried.response.status_code == 500
    assert VALUE not in tried.response.text
    assert VALUE not in json.dumps(tried.error)
    assert "[redacted:api-key]" in json.dumps(tried.error)
    assert tried.recorded("handler-error")


def test_a_failure_without_a_word_is_recorded(keeper: TestNode) -> None:
    """Who fails in silence must not be left out of the records."""
    tried = attempt(keeper, "t/keeper", {"attack": "raise_secret", "words": False})
    assert tried.record is not None
    assert tried.recorded("handler-error")


@pytest.mark.parametrize("call", ["ptrace-attach", "process-vm-readv", "pidfd-getfd", "kcmp"])
def test_another_process_cannot_be_read(keeper: TestNode, call: str) -> None:
    keeper.deploy(ATTACKER.read_text(), name="reader", grants=GRANTS, approve=True)
    tried = attempt(keeper, "t/reader", {"attack": "call", "name": call})
    assert tried.errno == errno.EPERM
    assert tried.denied(call.replace("-", "_").removesuffix("_attach"))
