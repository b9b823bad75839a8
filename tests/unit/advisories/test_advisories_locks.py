"""Locks and SBOMs: what they name is judged, what they name in no usable way is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from casemate.advisories import LockFileError
from casemate.advisories import limits as bounds
from casemate.advisories.locks import Listed, read_packages
from support.advisories import npm, pypi

ROOT = Path(__file__).parents[3]


def read(path: Path, text: str | bytes) -> Listed:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_packages(path)


def test_a_requirements_lock(tmp_path: Path) -> None:
    found = read(
        tmp_path / "requirements.txt",
        "# a lock\n--index-url https://pypi.org/simple\n"
        "Flask_Login==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        "torch==2.1+cu118 ; python_version < '3.12'  # why\n"
        "requests[socks]==2.30.0\n"
        "left>=1\nright\nstar==1.*\nhttps://x/y.whl\nz @ https://x/z.whl\n-r more.txt\n??\n",
    )
    assert found.packages == (
        pypi("flask-login", "1.0"),
        pypi("requests", "2.30.0"),
        pypi("torch", "2.1+cu118"),
    )
    assert {each.package for each in found.unknown} == {
        *("left>=1", "right", "star==1.*", "https://x/y.whl", "z @ https://x/z.whl"),
        *("-r more.txt", "??"),
    }


def test_a_uv_lock(tmp_path: Path) -> None:
    found = read_packages(ROOT / "uv.lock")
    names = {package.name for package in found.packages}
    assert {"msgspec", "packaging", "hypothesis"} <= names
    assert "casemate" not in names
    assert found.unknown == ()
    odd = read(
        tmp_path / "uv.lock",
        'version = 1\n[[package]]\nname = "a"\nversion = "1"\nsource = {git = "https://x"}\n'
        '[[package]]\nname = "b"\nsource = {registry = "x"}\n[[package]]\nversion = "1"\n',
    )
    assert odd.packages == (pypi("a", "1"),)
    assert [each.reason for each in odd.unknown] == [
        "it is from no index",
        "it has no version",
        "it has no name",
    ]
    assert read(tmp_path / "uv.lock", 'version = 1\nrequires-python = ">=3.11"\n').packages == ()


def test_a_pylock(tmp_path: Path) -> None:
    found = read(
        tmp_path / "pylock.toml",
        'lock-version = "1.0"\n[[packages]]\nname = "a"\nversion = "1"\n'
        '[[packages]]\nname = "b"\nvcs = {url = "x"}\n',
    )
    assert found.packages == (pypi("a", "1"),)
    assert len(found.unknown) == 1


def bom(*components: Any) -> bytes:
    return json.dumps({"bomFormat": "CycloneDX", "components": components}).encode()


def test_an_sbom(tmp_path: Path) -> None:
    nested = {"name": "n", "purl": "pkg:npm/%40a/b@1.0.0", "type": "library"}
    found = read(
        tmp_path / "x.cdx.json",
        bom(
            {"name": "a", "version": "1", "purl": "pkg:pypi/A@1", "components": [nested]},
            {"name": "g", "version": "2", "purl": "pkg:gem/g@2"},
            {"name": "none"},
            {"name": "f", "type": "file"},
        ),
    )
    assert found.packages == (pypi("a", "1"), npm("@a/b", "1.0.0"))
    assert [each.package for each in found.unknown] == ["g 2", "none"]


def _deep(levels: int) -> bytes:
    return (
        b'{"bomFormat":"CycloneDX","components":['
        + b'{"name":"x","components":[' * levels
        + b"]}" * levels
        + b"]}"
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.json", b"{}"),
        ("x.json", b"<html>"),
        ("x.json", b'{"bomFormat": "SPDX"}'),
        ("x.json", b'{"bomFormat":"CycloneDX","components":{}}'),
        ("x.json", _deep(100)),
        ("x.json", _deep(100_000)),
        ("uv.lock", b"a = ["),
        ("uv.lock", b"a = 1"),
        ("uv.lock", b"a = " + b"[" * 100_000),
        ("uv.lock", b".".join([b"a"] * 100_000) + b" = 1"),
        ("uv.lock", b"x = {" + b".".join([b"a"] * 100_000) + b" = 1}"),
        ("uv.lock", b"'\"'." + b".".join([b"a"] * 100_000) + b" = 1"),
        ("uv.lock", b'x = ["""\ny""", {' + b".".join([b"a"] * 100_000) + b' = 1}, "z"]'),
        ("uv.lock", ".".join(["a" + ".a" * 30 + ".'\u2028'"] * 3_000).encode() + b" = 1"),
        ("requirements.txt", b"\xff\xfe"),
        ("missing", None),
    ],
)
def test_what_is_no_lock_is_refused(tmp_path: Path, name: str, data: bytes | None) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(LockFileError):
        read_packages(path)


def test_bounds(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(LockFileError, match="larger"):
        read(tmp_path / "x.json", b" " * (bounds.MAX_LOCK_BYTES + 1))
    assert read(tmp_path / "r.txt", "a" * 1_000_000).unknown[0].reason == "the line is too long"
    assert read(tmp_path / "r.txt", "a\\\n" * 100_000).unknown[0].reason == "the line is too long"
    with pytest.raises(LockFileError, match="more than"):
        read(tmp_path / "r.txt", "?\n" * 5_000_000)
    with pytest.raises(LockFileError, match="more than"):
        read(tmp_path / "x.json", bom(*[{}] * 100_000))
    monkeypatch.setattr(bounds, "MAX_PACKAGES", 3)
    with pytest.raises(LockFileError, match="more than 3"):
        read(tmp_path / "r.txt", "a==1\nb==1\nc==1\nd==1\n")
