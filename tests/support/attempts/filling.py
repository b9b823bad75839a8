"""Whoever may do little fills the disk with what is kept for them: the owner still signs in and clears it.

The node lies on a file system of its own of 200 MB, of which little more than the reserve is left free.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2

from casemate.kernel.volume import reserve_of
from support.node import TestNode

from . import Attempt, Attempts
from .others import Somebody, nobody, owner

SIZE = 200 << 20
LEFT = 3 << 20
"""What is free beside the reserve when an attempt begins."""
SECONDS = 8.0
THREADS = 4

APP = """
import os
def handler(event, context):
    what, text = event.get("what"), event.get("text", "")
    if what == "lines":
        for n in range(40):
            print(os.urandom(15_000).hex())
    if what == "fail":
        held = [os.urandom(60_000).hex() for _ in range(20)]
        raise ValueError(text)
    if what == "object":
        context.bucket("b").put(context.request_id, os.urandom(200_000))
    if what == "revisions":
        context.bucket("b").put("one", os.urandom(200_000))
    if what == "item":
        context.table("t").put({"id": context.request_id, "text": os.urandom(100_000).hex()})
    if what == "message":
        context.queue("q").send({"text": os.urandom(100_000).hex()})
    if what == "answer":
        return os.urandom(400_000).hex()
    if what == "deny":
        for n in range(200):
            try: context.bucket(f"b{n}-{context.request_id}").get("x")
            except Exception: pass
    return "ok"
"""
GRANTS = """queues = ["q"]
[[function.f.grants.buckets]]
name = "b"
actions = ["read", "write"]
[[function.f.grants.tables]]
name = "t"
actions = ["get", "put"]
"""
RESOURCES = """[bucket.b]
[table.t]
key = "id"
[queue.q]
"""

Send = Callable[[Somebody, int], httpx2.Response]


def text(size: int = 100_000) -> str:
    return os.urandom(size).hex()


def call(what: str, size: int = 0, **headers: str) -> Send:
    """Return how to call the public function."""

    def send(who: Somebody, n: int) -> httpx2.Response:
        given = {
            name.replace("_", "-"): value.replace("{n}", f"{n}-{os.getpid()}")
            for name, value in headers.items()
        }
        event = {"what": what, "n": n, "text": text(size) if size else ""}
        return who.node.client.post(f"{who.node.url}/invoke/t/f", json=event, headers=given)

    return send


def upload(who: Somebody, n: int) -> httpx2.Response:
    """Send what is no archive, below a digest that is right or not."""
    content = os.urandom(2_000_000)
    digest = hashlib.sha256(content).hexdigest()
    return who.ask(
        "PUT",
        f"/bundles/{digest}",
        content=content,
        headers={"content-type": "application/gzip"},
    )


def bundle(who: Somebody, n: int) -> httpx2.Response:
    """Upload a bundle that is right and that nothing is deployed of."""
    from casemate.build import pack
    from casemate.build.bundle import build
    from casemate.manifest import load
    from support.node import MANIFEST

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
        root = Path(folder)
        (root / "app.py").write_text("def handler(event, context): return 1\n")
        (root / "data.bin").write_bytes(os.urandom(2_000_000))
        (root / "casemate.toml").write_text(
            MANIFEST.format(
                project="small", name="g", handler="app:handler", settings="", limits="", routes=""
            )
        )
        loaded = load(root / "casemate.toml")
        built = build(root, loaded.name, loaded.functions[0], Path(out), resources=loaded.resources)
        archive = Path(out) / "bundle.tar.gz"
        with archive.open("wb") as stream:
            pack(built.path, stream)
        return who.ask(
            "PUT",
            f"/bundles/{built.digest}",
            content=archive.read_bytes(),
            headers={"content-type": "application/gzip"},
        )


FLOODS: dict[str, tuple[str, Send]] = {
    "events that are kept": ("", call("", 100_000, prefer="respond-async")),
    "events that become dead letters": ("", call("fail", 100_000, prefer="respond-async")),
    "results that are kept": ("", call("answer", prefer="respond-async")),
    "answers to idempotency keys": ("", call("answer", idempotency_key="k{n}")),
    "lines": ("", call("lines")),
    "errors, snapshots and recordings": ("", call("fail", 100_000)),
    "objects": ("", call("object")),
    "revisions of one object": ("", call("revisions")),
    "items": ("", call("item")),
    "messages": ("", call("message")),
    "denied uses": ("", call("deny")),
    "uploads that are no bundle": ("developer@small", upload),
    "bundles that nothing uses": ("developer@small", bundle),
    "names of functions": (
        "",
        lambda who, n: who.node.client.post(f"{who.node.url}/invoke/{text(60)}/{text(60)}"),
    ),
    "enrolment codes": (
        "",
        lambda who, n: who.ask(
            "POST",
            "/enrol",
            {"name": text(30), "code": "cmenrol_" + text(20), "password": text(40)},
        ),
    ),
}

LEAST = 1
"""So many requests of a flood are to be served at least; else nothing is filled."""
REFUSED = {"uploads that are no bundle", "names of functions", "enrolment codes"}
"""What is refused by its nature: how it is told is what could fill the disk."""


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def leave(folder: Path, bytes_free: int) -> None:
    """Have so much of the file system free, by the size of a file that is nobody's."""
    ballast = folder / "ballast"
    size = ballast.stat().st_size if ballast.exists() else 0
    wanted = max(0, size + free(folder) - bytes_free)
    with ballast.open("ab") as file:
        if wanted < size:
            file.truncate(wanted)
        else:
            os.posix_fallocate(file.fileno(), 0, max(wanted, 1))


def flood(node: TestNode, role: str, send: Send, lowest: list[int], folder: Path) -> dict[int, int]:
    """Send from several threads for a while; return how often each status was answered."""
    who = owner(node).made(role) if role else nobody(node)
    counts: dict[int, int] = {}
    end = time.monotonic() + SECONDS

    def go(number: int) -> None:
        n = number
        while time.monotonic() < end:
            n += THREADS
            status = 0
            with contextlib.suppress(httpx2.HTTPError):
                status = send(who, n).status_code
            counts[status] = counts.get(status, 0) + 1

    threads = [threading.Thread(target=go, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        lowest[0] = min(lowest[0], free(folder))
        time.sleep(0.02)
    return counts


def clears(node: TestNode) -> list[str]:
    """Return what the owner cannot do, once the flood is over: sign in, grant, call, clear away."""
    own = owner(node)
    ways: dict[str, Callable[[], object]] = {
        "sign in": own.works,
        "make a token": lambda: bool(own.made("invoker@t/f")),
        "call": lambda: node.invoke({}).status_code == 200,
        "purge the inbox": lambda: (
            own.ask("POST", "/functions/t/f/dead-letters/purge").status_code < 300
        ),
        "drop the queue's messages": lambda: own.ask("POST", "/queues/t/q/purge").status_code < 300,
        "delete an object": lambda: (
            own.ask("DELETE", "/buckets/t/b/object?key=one").status_code in (204, 404)
        ),
        "see denials": lambda: own.ask("GET", "/denials?limit=10").status_code == 200,
    }
    failed = []
    for name, way in ways.items():
        told: object = None
        for _ in range(8):
            try:
                told = way()
            except (httpx2.HTTPError, AssertionError) as error:
                told = str(error)[:120]
            if told is True:
                break
            time.sleep(1)
        else:
            failed.append(f"{name}: {told}")
    return failed


@contextlib.contextmanager
def small_volume(folder: Path) -> Iterator[None]:
    """Mount a file system of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def attempts(_: TestNode) -> Attempts:
    """Try each on a node of its own, on the small volume."""
    for name, (role, send) in FLOODS.items():
        with tempfile.TemporaryDirectory() as top:
            folder = Path(top)
            with small_volume(folder):
                node = TestNode(folder / "data").start()
                try:
                    yield attempt(node, folder, name, role, send)
                finally:
                    node.close()


def attempt(node: TestNode, folder: Path, name: str, role: str, send: Send) -> Attempt:
    """Flood; tell what was left, and what the owner could not do with it."""
    node.deploy(
        APP,
        settings="public = true",
        grants=GRANTS,
        resources=RESOURCES,
        approve=True,
        unguarded=True,
    )
    reserve = reserve_of(SIZE)
    leave(folder, reserve + LEFT)
    lowest = [free(folder)]
    counts = flood(node, role, send, lowest, folder)
    accepted = sum(n for status, n in counts.items() if 200 <= status < 300 or status == 500)
    if name not in REFUSED and accepted < LEAST:
        return Attempt(f"a disk full of {name}", True, f"tries nothing: {counts}")
    failed = clears(node)
    lowest[0] = min(lowest[0], free(folder))
    return Attempt(
        f"a disk full of {name}",
        bool(failed) or lowest[0] < reserve // 2,
        f"{counts}, at least {lowest[0] / 1e6:.1f} MB of the reserve of {reserve / 1e6:.1f} free; {failed}",
    )
