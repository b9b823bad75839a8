"""A bundle is exactly the files that its digest names: no link, no device, no path that leads out.

An archive is written here entry by entry, as no tool of the project would. A refused upload is the
answer to somebody who may deploy; it is told to them, with an id, and leaves nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from casemate.model.bundle import BundleFile
from support.bundles import Bundle, deploy, make_bundle, upload
from support.node import TestNode

SOURCE = "def handler(event, context):\n    return open('/function/code/app.py').read()[::-1]\n"
"""Backwards: its source as an answer is sealed."""
Edit = Callable[[tarfile.TarFile], None]


@pytest.fixture(scope="module")
def bundle(node: TestNode) -> Iterator[Bundle]:
    yield make_bundle(SOURCE)


def archive(bundle: Bundle, *, first: Edit | None = None, last: Edit | None = None) -> bytes:
    """Pack a bundle with entries of one's own before or after its files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _file(tar, "bundle.json", bundle.manifest.canonical())
        if first is not None:
            first(tar)
        for file in bundle.manifest.files:
            _file(tar, file.path, bundle.files.get(file.path, b"x" * file.size))
        if last is not None:
            last(tar)
    return gzip.compress(packed.getvalue())


def _file(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    member = tarfile.TarInfo(path)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _entry(path: str, kind: bytes, target: str = "", **more: Any) -> Edit:
    def edit(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(path)
        member.type, member.linkname = kind, target
        for name, value in more.items():
            setattr(member, name, value)
        tar.addfile(member)

    return edit


def _is_refused(node: TestNode, digest: str, packed: bytes) -> None:
    before = {path for path in node.data.rglob("*") if path.is_file() and "bundles" in path.parts}
    outside = {path for folder in ("/tmp", "/") for path in map(str, Path(folder).glob("zq*"))}
    answer = upload(node, digest, packed)
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.json()["error_id"].startswith("err_")
    assert node.client.head(f"{node.url}/api/v1/bundles/{digest}").status_code == 404
    now = {path for path in node.data.rglob("*") if path.is_file() and "bundles" in path.parts}
    assert now == before
    assert {p for folder in ("/tmp", "/") for p in map(str, Path(folder).glob("zq*"))} == outside


LINKS = {
    "symlink-out": _entry("code/link", tarfile.SYMTYPE, "/etc/passwd"),
    "symlink-climb": _entry("code/link", tarfile.SYMTYPE, "../../../../etc/shadow"),
    "symlink-to-data": _entry("code/link", tarfile.SYMTYPE, "../../vault"),
    "symlink-in": _entry("code/link.py", tarfile.SYMTYPE, "app.py"),
    "symlink-folder": _entry("code", tarfile.SYMTYPE, "/tmp"),
    "symlink-over-file": _entry("code/app.py", tarfile.SYMTYPE, "/tmp/zq-app.py"),
    "hardlink-out": _entry("code/link", tarfile.LNKTYPE, "/etc/passwd"),
    "hardlink-in": _entry("code/link.py", tarfile.LNKTYPE, "code/app.py"),
    "hardlink-over-file": _entry("code/app.py", tarfile.LNKTYPE, "/tmp/zq-app.py"),
    "device": _entry("code/mem", tarfile.CHRTYPE, devmajor=1, devminor=1),
    "block-device": _entry("code/disk", tarfile.BLKTYPE, devmajor=8),
    "fifo": _entry("code/pipe", tarfile.FIFOTYPE),
    "folder": _entry("code/folder", tarfile.DIRTYPE),
    "climb": _entry("../../../../tmp/zq-climb", tarfile.REGTYPE),
    "absolute": _entry("/tmp/zq-absolute", tarfile.REGTYPE),
    "set-user-id": _entry("code/suid", tarfile.REGTYPE, mode=0o4755),
    "owner": _entry("code/owned", tarfile.REGTYPE, uid=0, gid=0, uname="root"),
    "sparse": _entry("code/sparse", tarfile.GNUTYPE_SPARSE),
    "long-name": _entry("x" * 90, tarfile.GNUTYPE_LONGNAME),
    "global-header": _entry("code/global", tarfile.XGLTYPE),
}


@pytest.mark.parametrize("name", list(LINKS))
@pytest.mark.parametrize("place", ["first", "last"])
def test_an_entry_that_is_no_file_of_it_is_refused(
    node: TestNode, bundle: Bundle, name: str, place: str
) -> None:
    other = bundle.declared(description=f"{name}-{place}")
    _is_refused(node, other.digest, archive(other, **{place: LINKS[name]}))


PATHS = [
    "../zq-out", "code/../../zq-out", "/tmp/zq-out", "code//app2.py", "code/./app2.py", "code/..",
    "code/\x00app.py", "code\\..\\zq", "./code/a.py", "bundle.json", "code/app.py/x", "CODE/app.py",
    "other/app.py", "code/\udcff", "code/a\nb", "", ".", "code/", "deps/../code/app.py",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=ascii)
def test_a_manifest_that_names_a_strange_path_is_refused(
    node: TestNode, bundle: Bundle, path: str
) -> None:
    """The digest is right: it is of a manifest that must not be."""
    files = (*bundle.manifest.files, BundleFile(path=path, size=1, sha256="0" * 64))
    try:
        manifest = msgspec.structs.replace(
            bundle.manifest, files=tuple(sorted(files, key=lambda f: f.path))
        )
        other = Bundle(manifest, bundle.files)
        packed = archive(other)
    except (ValueError, UnicodeError):
        raw = json.loads(bundle.manifest.canonical())
        raw["files"].append({"path": path, "size": 1, "sha256": "0" * 64})
        text = json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            _file(tar, "bundle.json", text)
        _is_refused(node, hashlib.sha256(text).hexdigest(), gzip.compress(buffer.getvalue()))
        return
    _is_refused(node, other.digest, packed)


def test_a_race_of_uploads_leaves_the_true_one(node: TestNode, bundle: Bundle) -> None:
    """Ten at once under one digest, some of them with a link or other code in place of a file."""
    other = bundle.declared(description="race")
    true = other.archive()
    changed = Bundle(other.manifest, {p: b"#" * len(c) for p, c in other.files.items()})
    false = [archive(other, first=LINKS["symlink-over-file"]), archive(changed)]
    with ThreadPoolExecutor(10) as pool, httpx2.Client(headers=node.client.headers) as client:

        def send(packed: bytes) -> int:
            return client.put(
                f"{node.url}/api/v1/bundles/{other.digest}",
                content=packed,
                headers={"content-type": "application/gzip"},
            ).status_code

        sent = [true, *false * 4, true]
        statuses = list(pool.map(send, sent))
    for packed, status in zip(sent, statuses, strict=True):
        assert status in ((200, 201, 429) if packed is true else (200, 422, 429)), statuses
    # Whatever came first: what runs is what the digest names.
    assert upload(node, other.digest, true).status_code in (200, 201)
    deployed = deploy(node, other)
    assert deployed.status_code == 201, deployed.text
    assert node.invoke({}).json() == SOURCE[::-1]


def test_a_digest_of_another_bundle_is_no_name_for_it(node: TestNode, bundle: Bundle) -> None:
    one, two = bundle.declared(description="one"), bundle.declared(description="two")
    _is_refused(node, one.digest, two.archive())
    _is_refused(node, two.digest, one.archive())


def test_what_is_changed_on_disk_does_not_run(node: TestNode, bundle: Bundle) -> None:
    """A stored bundle is sealed: a byte changed, or another bundle in its place, is refused."""
    one, two = bundle.declared(description="disk-1"), bundle.declared(description="disk-2")
    for each in (one, two):
        assert upload(node, each.digest, each.archive()).status_code == 201
    node.stop()
    folder = node.data / "bundles"
    stored = {
        digest: next(p for p in folder.rglob("*") if p.is_file() and digest in str(p))
        for digest in (one.digest, two.digest)
    }
    stored[two.digest].write_bytes(stored[one.digest].read_bytes())
    content = bytearray(stored[one.digest].read_bytes())
    content[len(content) // 2] ^= 1
    stored[one.digest].write_bytes(content)
    node.start()
    for each in (one, two):
        answer = deploy(node, each)
        assert answer.status_code >= 400, answer.text
        assert "damaged" in answer.json()["detail"]
        # It is told to the operator as well.
        assert f"bundle {each.digest} on this node is damaged" in node.errors.read_text()
