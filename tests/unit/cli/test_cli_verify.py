"""`casemate verify PATH`: what does not hold, or could not be compared, is no success."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from casemate.build import pack
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.function import FunctionSpec

CODE = b"def handler(event, context): ...\n"


@pytest.fixture
def bundle(home: Path) -> Path:
    """A bundle, laid out by hand."""
    file = BundleFile(path="code/app.py", size=len(CODE), sha256=hashlib.sha256(CODE).hexdigest())
    manifest = BundleManifest(
        project="demo",
        function=FunctionSpec(name="hello", handler="app:handler", python="3.11"),
        lock_sha256=None,
        packages=(),
        files=(file,),
    )
    root = home / "bundles" / manifest.digest()
    (root / "code").mkdir(parents=True)
    (root / "code/app.py").write_bytes(CODE)
    (root / "bundle.json").write_bytes(manifest.canonical())
    return root


def test_files_are_held_against_the_digest_they_are_named_by(cli, bundle: Path) -> None:
    assert cli("verify", str(bundle)).out == f"holds  digests: 1 files are those that {_id(bundle)}"
    archive = bundle.parent / f"{bundle.name}.tar.gz"
    with archive.open("wb") as file:
        pack(bundle, file)
    assert cli("verify", str(archive)).code == 0
    archive.rename(bundle.parent / ("0" * 64))
    assert cli("verify", str(bundle.parent / ("0" * 64))).code == 1
    (bundle / "code/app.py").write_bytes(CODE.upper())
    done = cli("verify", str(bundle))
    assert done.code == 1 and "FAILS  digests" in done.out


def test_a_bundle_is_where_the_command_is_given(
    cli, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle)
    assert cli("verify", ".").code == 0


def _id(bundle: Path) -> str:
    return f"{bundle.name[:12]} names\n"


def test_source_that_cannot_be_built_again_is_not_passed_over(
    cli, bundle: Path, home: Path
) -> None:
    gone = cli("verify", str(bundle), "--manifest", str(home / "gone.toml"))
    assert gone.code == 2 and "gone.toml" in gone.err
    (home / "casemate.toml").write_text("[project\n")
    assert cli("verify", str(bundle)).code not in (0, None)
    (home / "app.py").write_bytes(CODE)
    manifest = '[project]\nname = "other"\n\n[function.hello]\nhandler = "app:handler"\n'
    (home / "casemate.toml").write_text(manifest)
    assert cli("verify", str(bundle)).code == 0  # of another project
