"""The page on advisories has the bounds that are in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.advisories import Trouble, limits

PAGE = (Path(__file__).parents[3] / "docs/reference/advisories.md").read_text()


@pytest.mark.parametrize(
    "row",
    [
        f"one record | {limits.MAX_RECORD_BYTES // limits.MIB} MiB",
        f"files of an import | {limits.MAX_RECORDS:,}",
        f"all files of an import, unpacked | {limits.MAX_INPUT_BYTES // limits.MIB} MiB",
        f"an archive | {limits.MAX_ARCHIVE_BYTES // limits.MIB} MiB",
        f"unpacked to packed | {limits.MAX_RATIO} times, after "
        f"{limits.RATIO_FREE_BYTES // limits.MIB} MiB",
        f"affected packages of a record | {limits.MAX_AFFECTED:,}",
        f"ranges of a package, events of a range | {limits.MAX_RANGES:,}, {limits.MAX_EVENTS:,}",
        f"listed versions of a package | {limits.MAX_VERSIONS:,}",
        f"aliases of a record | {limits.MAX_ALIASES:,}",
        f"an import, a download | {limits.IMPORT_SECONDS:.0f} s, {limits.DOWNLOAD_SECONDS:.0f} s",
        f"what one record, and all of them, take in the database | "
        f"{limits.MAX_COMPILED_RECORD_BYTES // limits.MIB} MiB, "
        f"{limits.MAX_COMPILED_BYTES // limits.MIB} MiB",
        f"a lock or an SBOM | {limits.MAX_LOCK_BYTES // limits.MIB} MiB",
        f"packages of a lock or an SBOM | {limits.MAX_PACKAGES:,}",
    ],
)
def test_bounds(row: str) -> None:
    assert f"| {row} |" in PAGE


def test_states_and_ages() -> None:
    for trouble in Trouble:
        assert f"| {trouble} |" in PAGE
    assert f"more than {limits.MAX_AGE / 86400:.0f} days ago" in PAGE
    assert f"more than {limits.QUIET_AGE / 86400:.0f} days old" in PAGE
    assert limits.MAX_VERSION_CHARS == limits.MAX_NAME_CHARS == 256
