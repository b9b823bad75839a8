"""Dependencies that are imported before it is known of which function they become."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from casemate.model.bundle import BundleFile
from support.bundles import Bundle, make_bundle, publish
from support.node import TestNode

LIBRARY = """
import os, sys, time
time.sleep(0.3)
ahead = not os.path.exists("/function/code")
"""
HANDLER = """
import os, sys
import held

def handler(event, context):
    return {"ahead": held.ahead, "function": os.environ["CASEMATE_FUNCTION"]}
"""
KEEP = 'keep = "1s"'


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
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("ahead") / "data").start()
    yield node
    node.close()


def ask(node: TestNode, function: str, event: Any = None) -> Any:
    answer = node.invoke(event or {}, function=function)
    assert answer.status_code == 200, node.error(answer)
    return answer.json()


def test_it(ahead: TestNode) -> None:
    made = with_dependencies(make_bundle(HANDLER, name="a", limits=KEEP), {"held.py": LIBRARY})
    publish(ahead, made)
    for name in "bcd":
        publish(ahead, made.declared(name=name))
    time.sleep(6)
    for name in "abcd":
        begun = time.perf_counter()
        print(ask(ahead, f"t/{name}"), (time.perf_counter() - begun) * 1000)
        time.sleep(2)
    print(ahead.errors.read_text()[-6000:])
    assert 0
