"""Functions of a project share the files of equal dependencies: that connects them in nothing."""

from __future__ import annotations

import errno
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from casemate.model.bundle import BundleFile
from support.bundles import Bundle, make_bundle, publish
from support.node import TestNode

SHARES_NODE = True
LIBRARY = b"value = 1\n" + b"#" * 9000 + b"\n"
ATTACKER = """
import errno, fcntl, mmap, os, struct, time

PATH = "/function/deps/held.py"

def attempt(do):
    try:
        do()
    except OSError as error:
        return error.errno
    return 0

def lock(kind):
    file = os.open(PATH, os.O_RDONLY)
    if kind == "flock":
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return file

def look(kind):
    if kind == "flock":
        lock(kind)
        return
    file = os.open(PATH, os.O_RDONLY)
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    found = fcntl.fcntl(file, fcntl.F_GETLK, asked)
    if struct.unpack("hhqqi4x", found)[0] != fcntl.F_UNLCK:
        raise BlockingIOError(errno.EAGAIN, "locked")

def handler(event, context):
    what = event["what"]
    if what == "see":
        found = os.stat(PATH)
        import held
        return {"links": found.st_nlink, "size": found.st_size, "value": held.value}
    if what == "hold":
        lock(event["kind"])
        time.sleep(event["seconds"])
        return 1
    if what == "look":
        return attempt(lambda: look(event["kind"]))
    if what == "change":
        return [
            attempt(lambda: os.open(PATH, os.O_WRONLY)),
            attempt(lambda: os.truncate(PATH, 0)),
            attempt(lambda: os.chmod(PATH, 0o777)),
            attempt(lambda: os.utime(PATH)),
            attempt(lambda: os.unlink(PATH)),
            attempt(lambda: os.setxattr(PATH, "user.x", b"1")),
            attempt(lambda: os.link(PATH, "/tmp/held.py")),
            attempt(lambda: mmap.mmap(
                os.open(PATH, os.O_RDONLY), 4096, flags=mmap.MAP_SHARED,
                prot=mmap.PROT_READ | mmap.PROT_WRITE)),
        ]
    if what == "own copy":
        mapped = mmap.mmap(
            os.open(PATH, os.O_RDONLY), 4096, flags=mmap.MAP_PRIVATE,
            prot=mmap.PROT_READ | mmap.PROT_WRITE)
        mapped[:9] = b"value = 7"
        mapped.flush()
        time.sleep(event["seconds"])
        return mapped[:9].decode()
    if what == "read":
        return open(PATH, "rb").read(9).decode()
"""


def with_library(bundle: Bundle) -> Bundle:
    """Return a bundle with a dependency, as a lock would have brought it."""
    digest = hashlib.sha256(LIBRARY).hexdigest()
    library = BundleFile(path="deps/held.py", size=len(LIBRARY), sha256=digest)
    manifest = msgspec.structs.replace(
        bundle.manifest, lock_sha256="1" * 64, files=(*bundle.manifest.files, library)
    )
    return Bundle(manifest, {**bundle.files, "deps/held.py": LIBRARY})


@pytest.fixture(scope="module")
def sharing(node: TestNode) -> TestNode:
    made = with_library(make_bundle(ATTACKER, name="a", project="t"))
    publish(node, made)
    publish(node, made.declared(name="b"))
    publish(node, made.declared(name="c", project="u"))
    return node


def ask(node: TestNode, function: str, what: str, **more: Any) -> Any:
    answer = node.invoke({"what": what, **more}, function=function)
    assert answer.status_code == 200, node.error(answer)
    return answer.json()


def test_they_are_shared_within_a_project_and_never_across(sharing: TestNode) -> None:
    for function, links in (("t/a", 2), ("t/b", 2), ("u/c", 1)):
        seen = ask(sharing, function, "see")
        assert seen == {"links": links, "size": len(LIBRARY), "value": 1}, function


@pytest.mark.parametrize("kind", ["flock", "posix"])
def test_locks_on_them_do_not_meet(sharing: TestNode, kind: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(ask, sharing, "t/a", "hold", kind=kind, seconds=1.5)
        time.sleep(0.5)
        assert ask(sharing, "t/b", "look", kind=kind) == 0
        # Or this proves nothing: two calls of one function do meet, where there is a lock at all.
        met = errno.EAGAIN if kind == "flock" else 0
        assert ask(sharing, "t/a", "look", kind=kind) == met
        assert holding.result() == 1


def test_nobody_changes_them(sharing: TestNode) -> None:
    for tried in ask(sharing, "t/a", "change"):
        assert tried in {errno.EROFS, errno.EACCES, errno.EPERM, errno.EXDEV}
    assert ask(sharing, "t/b", "read") == "value = 1"


def test_what_one_writes_to_its_own_pages_no_other_reads(sharing: TestNode) -> None:
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(ask, sharing, "t/a", "own copy", seconds=1.0)
        time.sleep(0.4)
        assert ask(sharing, "t/b", "read") == "value = 1"
        assert writing.result() == "value = 7"


def test_one_that_is_removed_takes_nothing_from_the_others(sharing: TestNode) -> None:
    path = f"{sharing.url}/api/v1/functions/t/a"
    assert sharing.client.delete(path).status_code == 204
    assert ask(sharing, "t/b", "read") == "value = 1"
    assert ask(sharing, "t/b", "see")["value"] == 1
