"""Bundles of an earlier release keep their names: what has come since is left out where it is not
set."""

from __future__ import annotations

import tarfile
from pathlib import Path

from casemate.build.contents import MANIFEST_NAME, decode_manifest

RELEASE = Path(__file__).parents[2] / "support" / "previous_release" / "data.tar.gz"


def test_manifests_of_an_earlier_release_are_read_by_their_digests() -> None:
    found = 0
    with tarfile.open(RELEASE) as archive:
        for each in archive.getmembers():
            path = Path(each.name)
            if path.name == MANIFEST_NAME and (file := archive.extractfile(each)) is not None:
                assert decode_manifest(file.read(), path.parent.name).project == "t"
                found += 1
    assert found == 3
