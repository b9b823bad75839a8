"""Links and swapped files under objects while they are read and written: no other content comes.

Whoever can change files of the data folder is beyond what a function can do. That somebody can,
by a fault or with a stolen account of the node's user, must not turn one object into another.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.attacks import attempt
from support.node import TestNode

SIZE = 200_000
"""Large enough for a file of its own."""
SOURCE = f"""
from casemate import NotFoundError
def handler(event, context):
    files = context.bucket("files")
    how, key = event["how"], event["key"]
    if how == "put":
        files.put(key, event["letter"] * {SIZE})
        return event["letter"]
    if how == "delete":
        files.delete(key)
        return "deleted"
    try:
        content = files.get(key)
    except NotFoundError:
        return "none"
    return {{"letters": sorted(set(content.decode())), "size": len(content)}}
"""
GRANTS = 'buckets = [{ name = "files", actions = ["read", "write", "list", "delete"] }]'
Swap = Callable[[Path, Path, Path], None]


@pytest.fixture(scope="module")
def bucket(node: TestNode) -> Iterator[TestNode]:
    node.deploy(SOURCE, grants=GRANTS, resources="[bucket.files]\n", approve=True)
    yield node


def use(node: TestNode, how: str, key: str, letter: str = "") -> Any:
    return attempt(node, "t/f", {"how": how, "key": key, "letter": letter})


def objects(node: TestNode) -> set[Path]:
    return set((node.data / "data" / "objects" / "t").iterdir())


def stored(node: TestNode, key: str, letter: str) -> Path:
    """Put an object; return its file."""
    before = objects(node) if (node.data / "data" / "objects" / "t").exists() else set()
    assert use(node, "put", key, letter).answer == letter
    (file,) = objects(node) - before
    return file


def _beside(file: Path, make: Callable[[Path], object]) -> None:
    """Take the file's name in one step, so that there is never none."""
    other = file.with_name("z" * 32)
    make(other)
    other.replace(file)


SWAPS: dict[str, Swap] = {
    "symlink-out": lambda f, other, outside: _beside(f, lambda p: p.symlink_to(outside)),
    "symlink-to-another": lambda f, other, outside: _beside(f, lambda p: p.symlink_to(other.name)),
    "hardlink-out": lambda f, other, outside: _beside(f, lambda p: p.hardlink_to(outside)),
    "hardlink-to-another": lambda f, other, outside: _beside(f, lambda p: p.hardlink_to(other)),
    "fifo": lambda f, other, outside: _beside(f, os.mkfifo),
}


@contextmanager
def swapping(file: Path, other: Path, outside: Path, swap: Swap) -> Iterator[None]:
    """Exchange a file and what is put in its place, as fast as it goes."""
    true = file.with_name("y" * 32)
    os.link(file, true)
    ended = threading.Event()

    def go() -> None:
        for _ in itertools.count():
            swap(file, other, outside)
            _beside(file, lambda p: os.link(true, p))
            if ended.is_set():
                return

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)
        true.unlink()


@pytest.mark.parametrize("name", list(SWAPS))
def test_a_race_of_links_gives_no_other_content(
    bucket: TestNode, tmp_path: Path, name: str
) -> None:
    node = bucket
    file = stored(node, f"{name}-a", "a")
    other = stored(node, f"{name}-b", "b")
    # On the data's file system, where a hard link can be made, and of the same owner.
    outside = node.data / "data" / f"outside-{name}"
    outside.write_bytes(b"c" * SIZE)
    os.chown(outside, file.stat().st_uid, file.stat().st_gid)
    refused = 0
    try:
        with swapping(file, other, outside, SWAPS[name]):
            for _ in range(25):
                tried = use(node, "get", f"{name}-a")
                if tried.response.status_code == 200:
                    assert tried.answer == {"letters": ["a"], "size": SIZE}
                    continue
                refused += 1
                assert tried.response.status_code == 500
                assert tried.recorded("handler-error"), tried.record
        # And for certain, when there is nothing of the true file any more.
        SWAPS[name](file, other, outside)
        tried = use(node, "get", f"{name}-a")
        assert tried.response.status_code == 500, (tried.answer, refused)
        assert tried.recorded("handler-error")
        assert str(node.data) not in tried.response.text
        # What a link leads to is neither written nor deleted by the object's name.
        assert use(node, "put", f"{name}-a", "d").answer == "d"
        assert use(node, "get", f"{name}-a").answer == {"letters": ["d"], "size": SIZE}
        assert use(node, "delete", f"{name}-a").answer == "deleted"
        assert outside.read_bytes() == b"c" * SIZE
        assert use(node, "get", f"{name}-b").answer == {"letters": ["b"], "size": SIZE}
    finally:
        outside.unlink()


def test_a_race_of_writers_leaves_one_of_them_whole(bucket: TestNode) -> None:
    """Never a mixture, and never what was deleted: each name leads to the one that was last."""
    headers = {"authorization": f"Bearer {bucket.key}"}

    def call(event: dict[str, str]) -> httpx2.Response:
        return httpx2.post(f"{bucket.url}/invoke/t/f", json=event, headers=headers, timeout=60)

    events = [
        {"how": how, "key": "raced", "letter": letter}
        for letter in "vwxyz"
        for how in ("put", "get", "delete", "get")
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, events))
    for event, answer in zip(events, answers, strict=True):
        assert answer.status_code in (200, 500), answer.text
        if event["how"] == "get" and answer.status_code == 200 and answer.json() != "none":
            assert len(answer.json()["letters"]) == 1
            assert answer.json()["size"] == SIZE
    assert use(bucket, "put", "raced", "q").answer == "q"
    assert use(bucket, "get", "raced").answer == {"letters": ["q"], "size": SIZE}
