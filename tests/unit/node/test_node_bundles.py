"""The bundles on disk: found by digest, and not believed once they are damaged."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from casemate.build import ArchiveError
from casemate.model.bundle import BundleManifest
from casemate.model.errors import NotFoundError
from casemate.node.bundles import BundleFolder
from support.core import spec

MANIFEST = BundleManifest(project="t", function=spec(), lock_sha256=None)
DIGEST = MANIFEST.digest()


def keep(folder: Path, manifest: BundleManifest = MANIFEST, data: bytes | None = None) -> Path:
    bundle = folder / manifest.digest()
    bundle.mkdir()
    (bundle / "bundle.json").write_bytes(manifest.canonical() if data is None else data)
    return bundle


def test_a_bundle_is_found_by_its_digest(tmp_path: Path) -> None:
    bundles = BundleFolder(tmp_path)
    assert not bundles.has(DIGEST)
    keep(tmp_path)
    assert bundles.has(DIGEST)
    assert bundles.manifest(DIGEST) == MANIFEST


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=DIGEST) as missing:
        BundleFolder(tmp_path).manifest(DIGEST)
    assert missing.value.next_step
    (tmp_path / DIGEST).mkdir()
    with pytest.raises(NotFoundError):
        BundleFolder(tmp_path).manifest(DIGEST)


OTHER = BundleManifest(project="t", function=spec(public=True), lock_sha256=None)


def test_the_manifest_of_another_bundle_is_damage(tmp_path: Path) -> None:
    keep(tmp_path, data=OTHER.canonical())
    with pytest.raises(NotFoundError, match="damaged"):
        BundleFolder(tmp_path).manifest(DIGEST)


DAMAGED = {
    "empty": b"",
    "cut": MANIFEST.canonical()[:-5],
    "zeros": bytes(100),
    "binary": b"\xff\xfe\x00",
    "broken text": MANIFEST.canonical().replace(b'"t"', b'"\xff"'),
    "an array": b"[]",
    "fields missing": b"{}",
    "a field of another type": MANIFEST.canonical().replace(b'"t"', b"7"),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_manifest_is_told_and_can_be_uploaded_again(tmp_path: Path, data: bytes) -> None:
    keep(tmp_path, data=data)
    with pytest.raises(NotFoundError, match="damaged") as damaged:
        BundleFolder(tmp_path).manifest(DIGEST)
    assert damaged.value.next_step == "upload it again"


@pytest.mark.parametrize("data", [b"", b"junk" * 1000, b"\x1f\x8b\x08\x00junk"])
def test_an_archive_that_is_none_leaves_nothing(tmp_path: Path, data: bytes) -> None:
    archive = tmp_path / "upload"
    archive.write_bytes(data)
    folder = tmp_path / "bundles"
    folder.mkdir()
    bundles = BundleFolder(folder)
    with pytest.raises(ArchiveError):
        bundles.put(DIGEST, archive)
    assert not bundles.has(DIGEST)
    assert list(folder.iterdir()) == []


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    bundles = BundleFolder(tmp_path)
    keep(tmp_path)
    bundles.remove(DIGEST)
    bundles.remove(DIGEST)
    assert not bundles.has(DIGEST)


def test_unused_bundles_go_after_a_day(tmp_path: Path) -> None:
    old = time.time() - 25 * 3600
    used, unused, fresh = (
        keep(tmp_path, BundleManifest(project=p, function=spec(), lock_sha256=None))
        for p in ("used", "unused", "fresh")
    )
    for folder in (used, unused):
        os.utime(folder, (old, old))
    BundleFolder(tmp_path).remove_unused({used.name})
    assert {path.name for path in tmp_path.iterdir()} == {used.name, fresh.name}
