"""A release is installed from its own files, by their hashes, wholly or not at all."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from casemate.signing import SigningKey
from casemate.upgrade import installing
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.installing import install
from casemate.upgrade.release import Release, read_release, sign_release
from casemate.upgrade.versions import COMPLETE

KEY = SigningKey.from_bytes(bytes([1]) * 32)
PUBLIC = base64.b64encode(KEY.public).decode()


def wheel(folder: Path, name: str, version: str, needs: str = "", says: str = "") -> None:
    """Write a wheel that can be installed."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": "",
        f"{name}/cli/__init__.py": "",
        f"{name}/cli/main.py": f"print('casemate {says or version}')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_hash(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join((*record, f"{info}/RECORD,,")) + "\n"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def released(folder: Path) -> Release:
    sign_release(folder / "release", version="2.0.0", since="1.0", schemas={"store": 1}, keys=[KEY])
    (folder / "copy").mkdir()
    return read_release(folder / "release", folder / "copy", [PUBLIC])


def test_installed_complete_and_left_as_it_is_then(tmp_path) -> None:
    wheel(tmp_path / "release", "casemate", "2.0.0", needs="other")
    wheel(tmp_path / "release", "other", "1.0")
    release = released(tmp_path)
    target = tmp_path / "2.0.0"
    # What a killed run has left is made anew.
    (target / "bin").mkdir(parents=True)
    (target / "bin/python").write_text("half")
    install(release, target)
    assert (target / COMPLETE).read_bytes() == release.statement
    told = subprocess.run(
        [target / "bin/python", "-I", "-c", "import other, casemate; print(casemate.__file__)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.startswith(str(target))
    assert target.stat().st_mode & 0o777 == 0o755, "users of functions read the runner"
    (target / "mark").write_text("")
    install(release, target)
    assert (target / "mark").exists()


def test_nothing_is_kept_in_a_home_that_an_ordinary_user_could_not_write_to(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(installing, "_HOME", str(tmp_path / "home"))
    wheel(tmp_path / "release", "casemate", "2.0.0")
    release = released(tmp_path)
    install(release, tmp_path / "2.0.0")
    assert (tmp_path / "2.0.0" / COMPLETE).read_bytes() == release.statement
    assert not (tmp_path / "home").exists()


def test_what_lacks_a_wheel_or_calls_itself_otherwise_is_never_complete(tmp_path) -> None:
    wheel(tmp_path / "release", "casemate", "2.0.0", needs="other")
    release = released(tmp_path)
    with pytest.raises(UpgradeError, match="cannot be installed") as error:
        install(release, tmp_path / "2.0.0")
    assert "all wheels" in str(error.value)
    assert not (tmp_path / "2.0.0" / COMPLETE).exists()

    wheel(tmp_path / "release", "casemate", "2.0.0", says="1.0.0")
    (tmp_path / "copy").rename(tmp_path / "before")
    with pytest.raises(UpgradeError, match="calls itself"):
        install(released(tmp_path), tmp_path / "2.0.0")
    assert not (tmp_path / "2.0.0" / COMPLETE).exists()


def test_a_file_that_is_changed_after_it_was_verified_is_refused_by_its_hash(tmp_path) -> None:
    wheel(tmp_path / "release", "casemate", "2.0.0")
    release = released(tmp_path)
    wheel(tmp_path / "copy", "casemate", "2.0.0", says="evil")
    with pytest.raises(UpgradeError, match=r"[Hh]ash"):
        install(release, tmp_path / "2.0.0")
