"""Whose a file is, by what installed packages record."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from casemate.guard import package_files
from casemate.guard.package_files import normal, owners_in, owners_of


def record(folder: Path, name: str, *rows: str) -> None:
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "RECORD").write_text("".join(f"{row},sha256=abc,12\n" for row in rows))


def test_files_are_of_the_package_that_records_them(tmp_path: Path) -> None:
    record(tmp_path, "PyYAML", "yaml/__init__.py", "yaml/a/b.py", "_yaml/__init__.py")
    record(tmp_path, "six", "six.py", "six-1.0.dist-info/METADATA")
    record(tmp_path, "google_auth", "google/auth/__init__.py", "google/auth/_x.py")
    record(tmp_path, "google.cloud_storage", "google/cloud/storage/a.py", "google/cloud/s.py")
    record(tmp_path, "google_cloud_core", "google/cloud/core/a.py", "google/cloud/c.py")
    owners = owners_in(str(tmp_path))
    for path, package in {
        "yaml/a/b.py": "pyyaml",
        "yaml/not_recorded.py": "pyyaml",
        "_yaml/__init__.py": "pyyaml",
        "six.py": "six",
        "google/auth/_x.py": "google-auth",
        "google/cloud/storage/deep/er.py": "google-cloud-storage",
        "google/cloud/c.py": "google-cloud-core",
    }.items():
        assert owners_of(owners, path) == (package,), path
    assert owners_of(owners, "nobody/x.py") == ()
    assert owners_of(owners, "google/other.py") == ()
    assert owners["yaml"] == ("pyyaml",), "no more of a path than tells packages apart"


def test_what_two_packages_record_is_of_both(tmp_path: Path) -> None:
    record(tmp_path, "one", "shared/a/b/c/d/e.py", "same.py")
    record(tmp_path, "two", "shared/a/b/c/d/e.py", "same.py")
    owners = owners_in(str(tmp_path))
    assert owners_of(owners, "same.py") == ("one", "two")
    assert owners_of(owners, "shared/a/b/c/d/e.py") == ("one", "two")


def test_names_are_as_indexes_have_them() -> None:
    assert [normal(name) for name in ("PyYAML", "zope.interface", "a__b.-c")] == [
        "pyyaml",
        "zope-interface",
        "a-b-c",
    ]


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"\n\n,,,\n", b'"' * 9999, b"a" * 100_000])
def test_broken_records_have_nobody_fail(tmp_path: Path, data: bytes) -> None:
    record(tmp_path, "good", "good.py")
    bad = tmp_path / "bad-1.0.dist-info"
    bad.mkdir()
    (bad / "RECORD").write_bytes(data)
    (tmp_path / "none-1.0.dist-info").mkdir()
    (tmp_path / "a-b-1.0.dist-info").write_text("no folder")
    assert owners_of(owners_in(str(tmp_path)), "good.py") == ("good",)
    assert owners_in(str(tmp_path / "not there")) == {}


def test_large_records_are_read_in_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "three"):
        record(tmp_path, name, *(f"shared/{name}/{number}/x.py" for number in range(20_000)))
    begun = time.process_time()
    owners = owners_in(str(tmp_path))
    assert time.process_time() - begun < 2
    assert owners["shared/two"] == ("two",)
    monkeypatch.setattr(package_files, "MAX_RECORD_BYTES", 1000)
    assert owners_in(str(tmp_path)) == {}
