"""Deploys of what the node has in part already: little is sent, and all of it is checked."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import random
import socket
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from casemate.advisories import place_of_node
from casemate.build.tar_format import END, entry_header, padding
from casemate.model.bundle import BundleFile
from support import forked_cli
from support.advisories import import_small
from support.bundles import Bundle, deploy, make_bundle, publish, upload
from support.node import TestNode
from support.package_index import wheel_bytes, write_wheel

pytestmark = pytest.mark.sandbox
APP = "import big\n\ndef handler(event, context):\n    return [{number}, len(big.DATA)]\n"
MANIFEST = """\
[project]
name = "shop"
[function.cart]
handler = "app:handler"
source = "src"
requirements = "req.txt"
"""
LARGE = 3 << 20
Cli = Callable[..., subprocess.CompletedProcess[str]]


class Counting:
    """Passes connections on to a node, and counts what clients send."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sent = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            node = socket.create_connection(("127.0.0.1", self._to))
            for pair in ((client, node, True), (node, client, False)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(65536):
                self.sent += len(data) if counted else 0
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            target.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("second") / "data").start()
    yield node
    node.close()


@pytest.fixture
def counting(node: TestNode) -> Iterator[Counting]:
    counting = Counting(node.port)
    yield counting
    counting.close()


@pytest.fixture
def cli(counting: Counting, node: TestNode, tmp_path: Path) -> Cli:
    """The command line in a project of one function with a large package."""
    text = base64.b64encode(random.Random(7).randbytes(LARGE)).decode()
    wheel = wheel_bytes("big", {"big.py": f"DATA = '{text}'\n"})
    write_wheel(tmp_path / "wheels", "big", wheel)
    (tmp_path / "casemate.toml").write_text(MANIFEST)
    (tmp_path / "req.txt").write_text("big\n-f wheels\n--no-index\n")
    (tmp_path / "src").mkdir()
    write(tmp_path, 1)

    def call(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "HOME": str(tmp_path / "home"),
            "XDG_CONFIG_HOME": str(tmp_path / "home/config"),
            "XDG_CACHE_HOME": str(tmp_path / "home/cache"),
            "CASEMATE_URL": f"http://127.0.0.1:{counting.port}",
            "CASEMATE_KEY": node.key,
            "NO_COLOR": "1",
            **more,
        }
        return forked_cli.run(words, cwd=tmp_path, env=environment)

    return call


def write(folder: Path, number: int) -> None:
    (folder / "src/app.py").write_text(APP.format(number=number))


def called(node: TestNode) -> Any:
    return node.client.post(f"{node.url}/invoke/shop/cart", json={}).json()


def test_a_deploy_is_refused_before_its_build_and_the_next_one_sends_its_code_alone(
    cli: Cli, node: TestNode, counting: Counting, tmp_path: Path
) -> None:
    # (1) the node has no advisories: nothing is locked, downloaded or compiled
    refused = cli("deploy")
    said = " ".join(refused.stderr.split())
    assert refused.returncode == 1, said
    assert "shop/cart: The packages cannot be looked up. The node has no advisories yet." in said
    assert "Nothing was built." in said and "Building" not in said
    assert not list(tmp_path.glob("*.lock")) and not (tmp_path / ".casemate").exists()
    denials = node.get("/denials", limit=10)["denials"]
    assert [one["kind"] for one in denials] == ["advisories"]

    # (2) all of it is sent once
    import_small(place_of_node(node.data))
    counting.sent = 0
    first = cli("deploy")
    assert first.returncode == 0, first.stderr
    assert counting.sent > LARGE and called(node) == [1, len(base64.b64encode(bytes(LARGE)))]

    # (3) and the code alone from then on, also after a restart
    for number in (2, 3):
        write(tmp_path, number)
        counting.sent = 0
        again = cli("deploy")
        assert again.returncode == 0, again.stderr
        assert counting.sent < LARGE / 50, counting.sent
        assert called(node)[0] == number
        if number == 2:
            node.stop()
            node.start()

    # (4) other dependencies are others
    write_wheel(tmp_path / "wheels", "big", wheel_bytes("big", {"big.py": "DATA = 'x'\n"}))
    (tmp_path / "req.txt").write_text("big\n-f wheels\n--no-index\n# another\n")
    other = cli("deploy", "--relock")
    assert other.returncode == 0, other.stderr
    assert called(node) == [3, 1]


def with_library(bundle: Bundle, library: bytes = b"value = 1\n" * 500) -> Bundle:
    """Return a bundle with a file of its dependencies."""
    added = BundleFile(
        path="deps/big.py",
        size=len(library),
        sha256=hashlib.sha256(library).hexdigest(),
    )
    others = [file for file in bundle.manifest.files if file.path != added.path]
    manifest = msgspec.structs.replace(
        bundle.manifest, lock_sha256="1" * 64, files=(*others, added)
    )
    return Bundle(manifest, {**bundle.files, "deps/big.py": library})


def send_code(
    client: httpx2.Client, node: TestNode, bundle: Bundle, archive: bytes | None = None
) -> httpx2.Response:
    return client.put(
        f"{node.url}/api/v1/bundles/{bundle.digest}?partial=true",
        content=bundle.archive(code_only=True) if archive is None else archive,
        headers={"content-type": "application/gzip"},
    )


def has(client: httpx2.Client, node: TestNode, bundle: Bundle, name: str) -> int:
    """Return 200 where all of its dependencies are there, 404 where none is."""
    wanted = list(bundle.manifest.pieces().values())
    url = f"{node.url}/api/v1/functions/{name}/pieces"
    answer = client.post(url, json={"digests": wanted})
    if answer.status_code != 200:
        return int(answer.status_code)
    found = answer.json()["digests"]
    assert found in ([], wanted)
    return 200 if found else 404


@pytest.fixture(scope="module")
def made() -> Bundle:
    return with_library(make_bundle("def handler(event, context):\n    return 1\n", name="f"))


@pytest.fixture(scope="module")
def stranger(node: TestNode) -> Iterator[httpx2.Client]:
    """A developer of a project of their own."""
    created = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "eve", "roles": ["developer@mine"]}
    )
    assert created.status_code == 201, created.text
    headers = {"authorization": f"Bearer {created.json()['text']}"}
    with httpx2.Client(timeout=60, headers=headers) as client:
        yield client


def test_a_stranger_neither_learns_of_nor_gets_what_another_project_has(
    node: TestNode, made: Bundle, stranger: httpx2.Client
) -> None:
    publish(node, made)
    next_one = made.declared(description="next")
    assert has(node.client, node, next_one, "t/f") == 200
    # By the digest of theirs, and by ones own of the very same files.
    own = made.declared(project="mine")
    unknown = with_library(own, b"of nobody\n")
    answers = []
    for bundle in (own, unknown, next_one):
        assert has(stranger, node, bundle, "mine/f") == 404
        answer = send_code(stranger, node, bundle)
        assert answer.status_code == 409, answer.text
        answers.append(answer.json()["detail"])
    assert len(set(answers)) == 1
    assert has(stranger, node, next_one, "t/f") == 403
    # What was refused was not kept, for anybody.
    for bundle in (own, unknown, next_one):
        url = f"{node.url}/api/v1/bundles/{bundle.digest}"
        assert {one.head(url).status_code for one in (stranger, node.client)} == {404}
    assert upload_as(stranger, node, own) == 201
    assert has(stranger, node, own.declared(description="x"), "mine/f") == 200, "their own upload"


def upload_as(client: httpx2.Client, node: TestNode, bundle: Bundle) -> int:
    url = f"{node.url}/api/v1/bundles/{bundle.digest}"
    headers = {"content-type": "application/gzip"}
    return int(client.put(url, content=bundle.archive(), headers=headers).status_code)


def test_code_that_is_cut_swapped_or_too_much_is_refused_and_leaves_nothing(
    node: TestNode, made: Bundle
) -> None:
    publish(node, made)
    one, two = (made.declared(description=text) for text in ("one", "two"))
    code, kept = one.archive(code_only=True), files(node)
    wrong = {
        "cut": code[:-20],
        "empty": b"",
        "more": code + b"x",
        "twice": code + code,
        "another": two.archive(code_only=True),
        "bomb": bomb(one),
    }
    for what, archive in wrong.items():
        answer = send_code(node.client, node, one, archive)
        assert answer.status_code == 422, (what, answer.text)
        assert files(node) == kept, what
    assert send_code(node.client, node, one).status_code == 201
    assert deploy(node, one).status_code == 201
    assert node.client.post(f"{node.url}/invoke/t/f", json={}).json() == 1


def bomb(bundle: Bundle) -> bytes:
    """Return an archive that begins as it should, and goes on with very much of nothing."""
    plain = gzip.decompress(bundle.archive(code_only=True))
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    return b"".join(
        (packer.compress(plain), *(packer.compress(zeros) for _ in range(64)), packer.flush())
    )


def files(node: TestNode) -> set[str]:
    return {
        str(path) for path in node.data.rglob("*") if path.is_file() and "bundles" in path.parts
    }


def test_more_files_than_a_bundle_may_have_are_refused(node: TestNode, made: Bundle) -> None:
    publish(node, made)
    empty = BundleFile(path="", size=0, sha256="0" * 64)
    many = tuple(
        msgspec.structs.replace(empty, path=f"deps/x{number:07}") for number in range(150_000)
    )
    manifest = msgspec.structs.replace(made.manifest, files=(*made.manifest.files, *many))
    kept = files(node)
    answer = send_code(node.client, node, Bundle(manifest, {}), many_archive(manifest.canonical()))
    assert answer.status_code == 422, answer.text
    assert files(node) == kept


def many_archive(manifest: bytes) -> bytes:
    head = entry_header("bundle.json", len(manifest))
    return gzip.compress(head + manifest + padding(len(manifest)) + END, 1)


def test_what_goes_between_question_and_upload_is_missed(node: TestNode, made: Bundle) -> None:
    gone = made.declared(name="gone")
    publish(node, gone)
    next_one = gone.declared(description="next")
    assert has(node.client, node, next_one, "t/gone") == 200
    removed = node.client.delete(f"{node.url}/api/v1/functions/t/gone")
    assert removed.status_code == 204, removed.text
    others = {"t/f"}  # of the same project, which may have the same
    for name in others:
        node.client.delete(f"{node.url}/api/v1/functions/{name}")
    assert send_code(node.client, node, next_one).status_code in (404, 409)
    assert upload(node, next_one.digest, next_one.archive()).status_code == 201


def test_all_refusals_of_a_project_are_told_in_one_message(
    cli: Cli, node: TestNode, tmp_path: Path
) -> None:
    rule = node.client.put(
        f"{node.url}/api/v1/projects/locked/signing",
        json={"keys": [], "signers": ["GitHub:owner/repository:build.yml"]},
    )
    assert rule.status_code == 200, rule.text
    text = MANIFEST.replace('"shop"', '"locked"') + '[function.cart.limits]\nmemory = "64GB"\n'
    (tmp_path / "casemate.toml").write_text(text)
    refused = cli("deploy", "--json")
    assert refused.returncode == 1, refused.stderr
    error = json.loads(refused.stdout)["error"]
    assert "memory = " in error and "GitHub:owner/repository:build.yml" in error, error
    assert not list(tmp_path.glob("*.lock"))
