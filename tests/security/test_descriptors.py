"""No descriptor leads from one function to another, to the gateway, or to what watches it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from casemate.drills import ATTACKER
from support.attacks import Attack, attempt
from support.bundles import deploy, make_bundle, upload
from support.node import TestNode
from support.processes import gateway_of

SHARES_NODE = True
GRANTS = 'egress = [{ host = "api.example.com" }, { host = "db.example.com", forward = 5432 }]'
PROBE = """
def probe():
    \"\"\"Return of each descriptor what kind it is, whether it listens, whether it notifies.\"\"\"
    import fcntl
    found = {}
    for number in range(1024):
        try:
            kind = stat.S_IFMT(os.fstat(number).st_mode)
        except OSError:
            continue
        listens = notifies = False
        if kind == stat.S_IFSOCK:
            sock = socket.socket(fileno=os.dup(number))
            listens = bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            sock.close()
        try:
            # SECCOMP_IOCTL_NOTIF_ID_VALID: ENOENT from a listener of a filter, for no such id.
            fcntl.ioctl(number, 0x40082102, struct.pack("=Q", 7))
            notifies = True
        except OSError as error:
            notifies = error.errno == 2
        found[number] = [kind, listens, notifies]
    return found
"""
AT_IMPORT = "FOUND = probe()\ndef handler(event, context):\n    return FOUND\n"
IN_CALL = "def handler(event, context):\n    return probe()\n"


@pytest.mark.parametrize("trust", ["normal", "low"])
@pytest.mark.parametrize("where", ["import", "call"])
def test_neither_listeners_nor_the_filters_own_are_open(
    node: TestNode, where: str, trust: str
) -> None:
    source = ATTACKER.read_text() + PROBE + (AT_IMPORT if where == "import" else IN_CALL)
    name = f"probe-{where}-{trust}"
    node.deploy(source, name=name, grants=GRANTS, approve=True, settings=f'trust = "{trust}"')
    tried = attempt(node, f"t/{name}", {})
    found = tried.answer
    assert {"0", "1", "2", "3"} <= set(found)
    assert not [n for n, (_, listens, _) in found.items() if listens]
    assert not [n for n, (_, _, notifies) in found.items() if notifies]
    if where == "call":
        assert set(found) == {"0", "1", "2", "3"}
    assert tried.recorded()


def test_the_probe_knows_a_listener_and_a_filters_own() -> None:
    """Or the test above would prove nothing."""
    import subprocess
    import sys

    text = (
        "import ctypes, os, socket, stat, struct\n" + PROBE + "import sys\n"
        "from casemate.kernel import linux, seccomp\n"
        "sock = socket.create_server(('127.0.0.1', 0))\n"
        "linux.set_no_new_privileges()\n"
        "program = linux.PreparedFilter(seccomp._encode([seccomp._allow()]))\n"
        "notify = program.install_with_listener()\n"
        "found = probe()\n"
        "print(found[sock.fileno()][1], found[notify][2], found[0][1:])\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["True", "True", "[False,", "False]"], done.stderr


def _held(pid: int) -> list[str]:
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(path))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("target", ["gateway", "sibling", "nobody"])
def test_a_descriptor_cannot_be_handed_on(attacked: TestNode, attack: Attack, target: str) -> None:
    assert attacked.process is not None
    gateway = gateway_of(attacked.process.pid)
    assert gateway is not None
    tried = attack("smuggle", target=target)
    if target == "gateway":
        # A descriptor beside a log line: the line is taken, what came with it is closed; from Linux
        # 6.16 on it is refused.
        assert tried.answer in ({"result": "sent"}, {"errno": 1})
    else:
        assert tried.errno in {1, 13, 111}
    assert tried.recorded()
    time.sleep(0.05)
    held = _held(gateway)
    assert not [name for name in held if "smuggled" in name]


SMUGGLE_AT_IMPORT = """
def smuggle_to_all():
    import array
    gift = os.memfd_create("smuggled-at-import")
    one = b'N' + struct.pack("=II", 0, 0)
    for number in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                sock = socket.socket(fileno=os.dup(number))
                if which in ("all", sock.type):
                    sock.sendmsg([content], [(1, 1, array.array("i", [gift] * 8))])
        except OSError:
            continue
    os.close(gift)
smuggle_to_all()
def handler(event, context):
    return "ran"
"""


@pytest.mark.parametrize("kind", ["stream", "packet"])
def test_the_import_cannot_hand_descriptors_to_the_node(node: TestNode, kind: str) -> None:
    """Neither by the socket on which it reports nor by the one on which it is told to fork."""
    assert node.process is not None
    gateway = gateway_of(node.process.pid)
    assert gateway is not None
    which = {"stream": 1, "packet": 5}[kind]
    head = b'{"listeners":8}'
    content = b"N" + len(head).to_bytes(4, "big") + bytes(4) + head
    source = (
        ATTACKER.read_text() + f"\nwhich = {which}\ncontent = {content!r}\n" + SMUGGLE_AT_IMPORT
    )
    # What comes with a later report is closed by the kernel; a record may bring nothing at all.
    node.deploy(source, name=f"smuggler-{kind}", expect=503 if kind == "packet" else 201)
    for pid in (gateway, node.process.pid):
        assert not [name for name in _held(pid) if "smuggled" in name]
    if kind == "packet":
        assert f"of t/smuggler-{kind} is ended" in node.errors.read_text()
    # The node goes on, for others as well.
    node.deploy("def handler(event, context):\n    return 1\n", name="bystander")
    assert node.invoke({}, function="t/bystander").json() == 1


REPORT_LATER = """
import os, time
def handler(event, context):
    return "ran"
CHILD = os.fork()
if CHILD == 0:
    # Stays in the zygote's namespace, with all that the zygote holds, and would speak for it.
    time.sleep(SECONDS)
    os.write(3, RECORD)
    time.sleep(3600)
"""
RECORDS = {
    "forked": b"K" + bytes(8),
    "ended": b"X" + (1 << 20).to_bytes(4, "big") + bytes(4),
    "hello": b"H" + bytes(8),
    "imported": b"I" + bytes(8),
    "unknown": b"?" * 9,
    "long": b"K" * 60,
}


@pytest.mark.parametrize("seconds", [0, 0.2])
@pytest.mark.parametrize("record", list(RECORDS))
def test_a_process_left_by_the_import_harms_its_own_function_only(
    node: TestNode, record: str, seconds: float
) -> None:
    """It may speak before it is found: nothing is believed that it could not be told."""
    name = f"impostor-{record}-{seconds * 10:g}"
    node.deploy("def handler(event, context):\n    return 1\n", name="unharmed")
    source = f"RECORD = {RECORDS[record]!r}\nSECONDS = {seconds}\n" + REPORT_LATER
    bundle = make_bundle(source, name=name)
    assert upload(node, bundle.digest, bundle.archive()).status_code == 201
    answer = deploy(node, bundle)
    assert answer.status_code in (422, 503), answer.text
    if seconds:
        assert answer.json()["failure"]["type"].endswith("ProcessAtImportError")
    for _ in range(3):
        assert node.invoke({}, function="t/unharmed").json() == 1
