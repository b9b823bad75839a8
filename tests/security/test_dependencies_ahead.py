"""Dependencies that are imported before it is known of which function: they connect no two."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.model.bundle import BundleFile
from support.bundles import Bundle, make_bundle, publish
from support.node import TestNode

LIBRARY = """
import os, sys
AHEAD = not os.path.exists("/function/code")
TOKEN = os.urandom(8).hex()
"""
HANDLER = """
import os, sys
import held

OWN = {name!r}

def handler(event, context):
    return {{
        "ahead": held.AHEAD, "token": held.TOKEN, "own": OWN,
        "seen": getattr(held, "SEEN", None),
        "function": os.environ["CASEMATE_FUNCTION"],
        "files": sorted(os.listdir("/function/code")),
    }}
"""
KEEP = 'keep = "1s"'
TRIES = 5


def with_dependencies(bundle: Bundle, files: dict[str, str]) -> Bundle:
    """Return a bundle with dependencies, as a lock would have brought them."""
    added = {f"deps/{path}": text.encode() for path, text in files.items()}
    entries = [
        BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in added.items()
    ]
    everything = sorted((*bundle.manifest.files, *entries), key=lambda file: file.path)
    manifest = msgspec.structs.replace(
        bundle.manifest, lock_sha256="1" * 64, files=tuple(everything)
    )
    return Bundle(manifest, {**bundle.files, **added})


@pytest.fixture(scope="module")
def node_ahead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("ahead") / "data").start()
    yield node
    node.close()


@pytest.fixture(autouse=True)
def functions_removed(node_ahead: TestNode) -> Iterator[None]:
    """Remove the functions of a test: a node looks after dependencies of few, one at a time."""
    yield
    for one in node_ahead.get("/functions")["functions"]:
        path = f"/api/v1/functions/{one['project']}/{one['name']}"
        assert node_ahead.client.delete(f"{node_ahead.url}{path}").is_success


def deploy(
    node: TestNode, project: str, library: str = "", handler: str = HANDLER, settings: str = ""
) -> None:
    """Deploy functions `a` and `b` of a project, whose dependencies are equal."""
    for name in "ab":
        made = make_bundle(
            handler.format(name=name),
            name=name,
            project=project,
            limits=KEEP,
            settings=settings,
        )
        publish(node, with_dependencies(made, {"held.py": LIBRARY + library}))


def first_call(node: TestNode, function: str) -> Any:
    """Call a function that has no zygote."""
    answer = node.invoke({}, function=function)
    assert answer.status_code == 200, node.error(answer)
    return answer.json()


def until_ahead(node: TestNode, function: str) -> Any:
    """Call a function now and then until it starts from dependencies that were imported ahead."""
    for _ in range(TRIES):
        time.sleep(3.5)
        answer = first_call(node, function)
        if answer["ahead"]:
            return answer
    raise AssertionError(f"{function} imports all by itself: {node.errors.read_text()[-2000:]}")


LOOKS = """
SEEN = {"function": sorted(os.listdir("/function")), "folder": os.getcwd(), "paths": sys.path[:2],
        "tmp": os.listdir("/tmp")} if AHEAD else None
"""
WATCHES = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        SEEN.append(name)
SEEN = []
sys.meta_path.insert(0, Finder())
"""


def test_each_function_has_one_of_its_own_which_had_seen_none(node_ahead: TestNode) -> None:
    deploy(node_ahead, "plain", LOOKS)
    a, b = (until_ahead(node_ahead, f"plain/{name}") for name in "ab")
    assert a["token"] != b["token"]
    for name, answer in (("a", a), ("b", b)):
        assert answer["own"] == answer["function"] == name
        assert answer["seen"] == {
            "function": ["deps"],
            "folder": "/function",
            "paths": ["/function/deps", answer["seen"]["paths"][1]],
            "tmp": [],
        }
        assert "app.py" in answer["files"]
    # Another project has the same files, and takes nothing of this one's.
    deploy(node_ahead, "other")
    time.sleep(2.5)
    made = make_bundle(HANDLER.format(name="c"), name="c", project="alone", limits=KEEP)
    publish(node_ahead, with_dependencies(made, {"held.py": LIBRARY + LOOKS}))
    time.sleep(4)
    assert first_call(node_ahead, "alone/c")["ahead"] is False


def test_what_hooks_the_import_sees_its_own_function_only(node_ahead: TestNode) -> None:
    deploy(node_ahead, "hooked", WATCHES)
    a = until_ahead(node_ahead, "hooked/a")
    b = until_ahead(node_ahead, "hooked/b")
    assert a["seen"].count("app") == b["seen"].count("app") == 1
    assert a["token"] != b["token"]


LEFT = {
    "file": ("HELD = open(__file__)", "descriptors are left open"),
    "pair": ("import socket; HELD = socket.socketpair()", "descriptors are left open"),
    "shared": ("import mmap; HELD = mmap.mmap(-1, 4096)", "shared memory"),
    "child": (
        "\n    import time\n    if os.fork() == 0: time.sleep(600)",
        "started a process",
    ),
    "thread": (
        "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
        "started a thread",
    ),
    "denied": (
        "\n    import socket\n    try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"
        "\n    except OSError: pass",
        "it was denied socket(AF_NETLINK)",
    ),
    "record": (
        "import socket, struct;"
        " socket.socket(fileno=os.dup(3)).send(struct.pack('!cIi', b'I', 0, 0))",
        "a second import before it is a function's",
    ),
    "ends": ("os._exit(0)", "the zygote is gone"),
    "raises": ("raise RuntimeError('not without a function')", "not without a function"),
}


READS = {
    "variable": ("MODE = os.environ.get('CASEMATE_FUNCTION', '')", "may have read CASEMATE_FUNCT"),
    "all": ("MODE = dict(os.environ)", "has read all variables"),
    "module": (
        "\ntry: import app\nexcept ImportError: pass",
        "has looked for a module that the function has",
    ),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param({"pair", "ends", "variable"}, id="some"),
        pytest.param({*LEFT, *READS}, id="all", marks=pytest.mark.storm),
    ],
)
def test_what_cannot_be_taken_over_is_not_and_functions_work_without(
    node_ahead: TestNode, kinds: set[str]
) -> None:
    mark = "all" if len(kinds) > len(READS) else "some"
    codes = {f"left-{kind}-{mark}": f"\nif AHEAD: {LEFT[kind][0]}\n" for kind in kinds & {*LEFT}}
    codes |= {f"reads-{kind}-{mark}": f"\n{READS[kind][0]}\n" for kind in kinds & {*READS}}
    for project, code in codes.items():
        deploy(node_ahead, project, code)
    expected = {name: {**LEFT, **READS}[name.split("-")[1]][1] for name in codes}
    waiting = dict(expected)
    deadline = time.monotonic() + 100
    while waiting and time.monotonic() < deadline:
        for project in [name for name in waiting if name.startswith("reads")]:
            first_call(node_ahead, f"{project}/a")
        time.sleep(2.5)
        said = node_ahead.errors.read_text()
        for project, reason in list(waiting.items()):
            if re.search(rf"{project}/[ab] .*{re.escape(reason)}", said):
                del waiting[project]
    assert not waiting, node_ahead.errors.read_text()[-4000:]
    for project in expected:
        answer = first_call(node_ahead, f"{project}/a")
        assert answer["own"] == "a" and not answer["ahead"], project


def unpacked(digest: str, path: str) -> Path:
    """Return where a file of a bundle is in memory: in a mount namespace of the node's, as root."""
    for pattern in (
        f"proc/[0-9]*/root/run/casemate/bundles/{digest}/{path}",
        f"dev/shm/casemate-*/{digest}/{path}",
    ):
        for found in Path("/").glob(pattern):
            return found
    raise AssertionError(f"{path} of {digest} is nowhere")


def test_a_file_that_was_changed_since_is_found_before_a_call_is_served(
    node_ahead: TestNode,
) -> None:
    digests = {}
    for name in "ab":
        made = make_bundle(HANDLER.format(name=name), name=name, project="changed", limits=KEEP)
        more = {"held.py": LIBRARY, "unused.py": "A = 1\n"}
        bundle = with_dependencies(made, more)
        publish(node_ahead, bundle)
        digests[name] = bundle.digest
    until_ahead(node_ahead, "changed/b")
    time.sleep(3.5)
    file = unpacked(digests["b"], "deps/unused.py")
    file.chmod(0o644)
    file.write_bytes(b"A = 2\n")
    answer = node_ahead.invoke({}, function="changed/b")
    assert answer.status_code == 500
    assert node_ahead.error(answer)["type"] == "BundleDamaged"
    assert "unused.py is not what" in node_ahead.errors.read_text()
