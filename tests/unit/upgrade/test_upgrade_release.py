"""Nothing of a release is used before its signatures and digests held."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from casemate.signing import SigningKey, sealed
from casemate.signing.statements import STATEMENT, encoded
from casemate.upgrade import release as module
from casemate.upgrade.errors import ReleaseError, UpgradeError
from casemate.upgrade.release import (
    PREDICATE,
    pinned_keys,
    read_release,
    require_pinned,
    sign_release,
)
from casemate.upgrade.schemas import own_schemas
from casemate.upgrade.upgrading import require_possible
from casemate.upgrade.versions import COMPLETE
from support.versions import make_release

KEY = SigningKey.from_bytes(bytes([1]) * 32)
OTHER = SigningKey.from_bytes(bytes([2]) * 32)
PUBLIC = base64.b64encode(KEY.public).decode()
WHEEL = "casemate-2.0.0-py3-none-any.whl"
DIGEST = "0" * 64
ROOT = Path(__file__).parents[3]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    make_release(tmp_path / "release", "2.0.0", KEY)
    return tmp_path / "release"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def test_a_release_is_read_from_a_folder_an_archive_and_beside_a_wheel(made, tmp_path) -> None:
    archive = tmp_path / "release.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(made, ".")
    for number, source in enumerate((made, archive, made / WHEEL)):
        target = tmp_path / str(number)
        target.mkdir()
        found = read_release(source, target, [PUBLIC])
        assert (found.version, found.since) == ("2.0.0", "0.1.0")
        assert (target / WHEEL).read_bytes() == (made / WHEEL).read_bytes()
        assert found.requirements() == f"casemate==2.0.0 --hash=sha256:{found.files[WHEEL]}\n"


def test_wheels_of_several_machines_are_one_requirement(tmp_path) -> None:
    make_release(tmp_path, "2.0.0", KEY)
    for machine in ("x86_64", "aarch64"):
        (tmp_path / f"uvloop-1.0-cp311-cp311-manylinux_2_28_{machine}.whl").write_text(machine)
    sign_release(tmp_path, version="2.0.0", since="1.0", schemas={"store": 1}, keys=[KEY])
    (tmp_path / "t").mkdir()
    lines = read_release(tmp_path, tmp_path / "t", [PUBLIC]).requirements().splitlines()
    assert [line.split()[0] for line in lines] == ["casemate==2.0.0", "uvloop==1.0"]
    assert lines[1].count("--hash=sha256:") == 2


def wheel_pinning(folder: Path, text: str | None) -> Path:
    wheel = folder / WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        if text is not None:
            archive.writestr("casemate/upgrade/release_keys.toml", text)
    return wheel


def test_a_wheel_pins_the_key_that_signs_it(tmp_path) -> None:
    other = base64.b64encode(b"k" * 32).decode()
    require_pinned(wheel_pinning(tmp_path, f'keys = ["{PUBLIC}"]'), KEY)
    require_pinned(wheel_pinning(tmp_path, f'keys = ["{other}", "{PUBLIC}"]'), KEY)
    for text in ("keys = []", f'keys = ["{other}"]'):
        with pytest.raises(ReleaseError, match="does not pin the key") as error:
            require_pinned(wheel_pinning(tmp_path, text), KEY)
        assert PUBLIC in str(error.value)
    for text in (None, "", "keys = 1", "\0"):
        with pytest.raises(ReleaseError, match="cannot be read"):
            require_pinned(wheel_pinning(tmp_path, text), KEY)


def test_a_release_of_a_wheel_that_pins_another_key_is_not_signed(tmp_path) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    key = SigningKey.made()
    run = [sys.executable, str(ROOT / "scripts/sign-release"), str(folder), "--since", "1.0"]
    environ = {**os.environ, "CASEMATE_BUILDER_KEY": str(tmp_path / "builder.key")}
    wheel_pinning(folder, f'keys = ["{base64.b64encode(key.public).decode()}"]')
    done = subprocess.run(run, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "does not pin" in done.stderr
    assert not (folder / COMPLETE).exists()
    done = subprocess.run(
        [*run, "--unpinned"], env=environ, capture_output=True, text=True, check=True
    )
    signer = done.stdout.strip()
    wheel_pinning(folder, f'keys = ["{signer}"]')
    subprocess.run(run, env=environ, capture_output=True, check=True)
    target = tmp_path / "target"
    target.mkdir()
    assert read_release(folder, target, [signer]).version == "2.0.0"


def test_this_version_pins_keys_or_asks_for_one(made, target) -> None:
    assert all(len(base64.b64decode(key)) == 32 for key in pinned_keys())
    with pytest.raises(ReleaseError) as error:
        read_release(made, target, [])
    assert "--key" in str(error.value)


@pytest.mark.parametrize("change", [
    b"x", b"", bytes(10_000),
])  # fmt: skip
def test_a_changed_wheel_is_refused(made, target, change) -> None:
    (made / WHEEL).write_bytes(change)
    with pytest.raises(ReleaseError, match="is not the file that the release names"):
        read_release(made, target, [PUBLIC])


def test_a_missing_wheel_and_a_missing_statement_are_refused(made, target) -> None:
    (made / WHEEL).unlink()
    with pytest.raises(ReleaseError, match="has no casemate-2"):
        read_release(made, target, [PUBLIC])
    (made / COMPLETE).unlink()
    with pytest.raises(ReleaseError, match=r"has no release\.json"):
        read_release(made, target, [PUBLIC])


def test_what_is_not_named_is_not_taken(made, target) -> None:
    (made / "evil-1.0-py3-none-any.whl").write_text("not named")
    read_release(made, target, [PUBLIC])
    assert {path.name for path in target.iterdir()} == {WHEEL}


def test_every_byte_of_the_statement_counts(made, target) -> None:
    whole = (made / COMPLETE).read_bytes()
    for place in range(0, len(whole), 37):
        changed = bytearray(whole)
        changed[place] ^= 1
        (made / COMPLETE).write_bytes(changed)
        with pytest.raises(ReleaseError):
            read_release(made, target, [PUBLIC])


def test_another_key_too_few_and_too_many_are_refused(tmp_path, target) -> None:
    other = base64.b64encode(OTHER.public).decode()
    make_release(tmp_path / "one", "2.0.0", KEY)
    make_release(tmp_path / "both", "2.0.0", KEY, OTHER)
    with pytest.raises(ReleaseError, match="is not known here"):
        read_release(tmp_path / "one", target, [other])
    with pytest.raises(ReleaseError, match="is not signed by the key"):
        read_release(tmp_path / "one", target, [PUBLIC, other])
    with pytest.raises(ReleaseError, match="is not known here"):
        read_release(tmp_path / "both", target, [PUBLIC])
    assert read_release(tmp_path / "both", target, [PUBLIC, other]).version == "2.0.0"


@pytest.mark.parametrize("key", ["", "x", PUBLIC[:-4], base64.b64encode(bytes(32)).decode()])
def test_what_is_no_key_is_none(made, target, key) -> None:
    with pytest.raises(ReleaseError, match="is no public key"):
        read_release(made, target, [key])


def signed(folder: Path, *, names: list[Any] | None = None, **changes: Any) -> None:
    """Write a statement that our key signs, whatever it says."""
    names = [{"name": WHEEL, "digest": {"sha256": DIGEST}}] if names is None else names
    predicate = {"version": "2.0.0", "since": "1.0.0", "schemas": {"store": 1}}
    statement = {
        "_type": changes.pop("kind", STATEMENT),
        "subject": names,
        "predicateType": changes.pop("type", PREDICATE),
        "predicate": {**predicate, **changes},
    }
    payload = encoded(statement)
    (folder / COMPLETE).write_bytes(encoded(sealed(payload, [KEY])))


@pytest.mark.parametrize("changes", [
    {"version": "3.0.0"}, {"version": "2.0"}, {"version": "../../x"}, {"version": 2},
    {"since": "no"}, {"since": ""}, {"schemas": {}}, {"schemas": {"store": "x"}}, {"extra": 1},
    {"kind": "x"}, {"type": "https://slsa.dev/provenance/v1"}, {"names": []},
    {"names": [{"name": "../x.whl", "digest": {"sha256": DIGEST}}]},
    {"names": [{"name": "/etc/x.whl", "digest": {"sha256": DIGEST}}]},
    {"names": [{"name": "setup.py", "digest": {"sha256": DIGEST}}]},
    {"names": [{"name": "x.whl", "digest": {"sha256": DIGEST}}]},
    {"names": [{"name": WHEEL, "digest": {"sha256": "0"}}]},
    {"names": [{"name": WHEEL, "digest": "0"}]}, {"names": [{"name": 1}]},
    {"names": [{"name": WHEEL, "digest": {"sha256": DIGEST}}] * 2},
    {"names": [{"name": f"a{i}-1-py3-none-any.whl", "digest": {"sha256": DIGEST}}
               for i in range(501)]},
])  # fmt: skip
def test_what_is_signed_and_no_release_is_refused(made, target, changes) -> None:
    signed(made, **changes)
    with pytest.raises(ReleaseError):
        read_release(made, target, [PUBLIC])
    assert list(target.iterdir()) == []


def test_a_signed_statement_about_a_bundle_is_no_release(made, target) -> None:
    payload = json.dumps({"hello": 1}).encode()
    (made / COMPLETE).write_bytes(encoded(sealed(payload, [KEY])))
    with pytest.raises(ReleaseError, match="no release"):
        read_release(made, target, [PUBLIC])


@pytest.mark.parametrize("name", ["../evil.whl", "/evil.whl", "a/b.whl", "evil.py", "evil"])
def test_an_archive_has_wheels_and_the_statement_alone(made, target, tmp_path, name) -> None:
    for kind in (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        archive = tmp_path / "evil.tar"
        with tarfile.open(archive, "w") as tar:
            member = tarfile.TarInfo(name if kind == tarfile.REGTYPE else WHEEL)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member, io.BytesIO())
        refused = "wheels and" if kind != tarfile.REGTYPE or "/" in name else "has no release"
        with pytest.raises(ReleaseError, match=refused):
            read_release(archive, target, [PUBLIC])
    assert list(target.iterdir()) == []


def test_a_member_that_comes_twice_and_what_is_no_archive_are_refused(target, tmp_path) -> None:
    archive = tmp_path / "twice.tar"
    with tarfile.open(archive, "w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo(WHEEL), io.BytesIO())
    with pytest.raises(ReleaseError):
        read_release(archive, target, [PUBLIC])
    archive.write_bytes(b"\x1f\x8b" + bytes(2000))
    with pytest.raises(ReleaseError, match="no tar archive"):
        read_release(archive, target, [PUBLIC])


def test_sizes_are_bounded(made, target, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(ReleaseError, match="more than 10 bytes"):
        read_release(made, target, [PUBLIC])
    (made / COMPLETE).write_bytes(bytes(module.MAX_STATEMENT_BYTES + 1))
    with pytest.raises(ReleaseError, match="is larger than"):
        read_release(made, tmp_path / "x", [PUBLIC])


@pytest.mark.parametrize(("version", "since", "running", "older", "refused"), [
    ("2.0.0", "1.0.0", "1.0.0", None, ""),
    ("2.0.0", "1.5.0", "1.0.0", None, "from 1.5.0 on"),
    ("2.0.0", "1.0.0", "2.0.0", None, "already"),
    ("2.0.0", "1.0.0", "2.0.0", "2.0.0", "already"),
    ("2.0.0", "1.0.0", "2.0.1", None, "older than 2.0.1"),
    ("2.0.0", "1.0.0", "10.0.0", "1.9.0", "older than 10.0.0"),
    ("2.0.0", "1.0.0", "2.0.1", "2.0.0", ""),
    ("2.0.0rc1", "1.0.0", "2.0.0", None, "older than"),
])  # fmt: skip
def test_from_where_one_may_come(tmp_path, version, since, running, older, refused) -> None:
    make_release(tmp_path, version, KEY, since=since)
    (tmp_path / "t").mkdir()
    found = read_release(tmp_path, tmp_path / "t", [PUBLIC])
    if not refused:
        require_possible(found, running, older=older)
        return
    with pytest.raises(UpgradeError, match=refused):
        require_possible(found, running, older=older)


def test_own_schemas_are_numbers_of_what_is_kept() -> None:
    found = own_schemas()
    assert set(found) == {"store", "data", "records", "folder"}
    assert all(number >= 1 for number in found.values())
