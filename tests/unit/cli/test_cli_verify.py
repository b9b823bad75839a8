"""`casemate verify PATH`: what does not hold, or could not be compared, is no success."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from casemate.build import pack
from casemate.cli.errors import CommandError
from casemate.cli.sigstore_check import about_bundles, kept_signing, read_signed
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.function import FunctionSpec
from casemate.model.signing import MAX_SIGSTORE_CHARS
from support.sigstore_keys import github, own_sigstore, statement

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


def signed(home: Path, name: str, sha256: str, who: str = "owner/repository") -> list[str]:
    """Write what a workflow signed, and return the options that have it checked."""
    own = own_sigstore()
    (home / "trusted.json").write_bytes(own.trusted_root())
    made = own.made(statement(name, sha256), github(who, "build.yml"))
    (home / "a.sigstore.json").write_bytes(made.bundle())
    signer = "GitHub:owner/repository:build.yml"
    files = ["--sigstore", str(home / "a.sigstore.json"), "--trusted-root"]
    return [*files, str(home / "trusted.json"), "--signer", signer]


def test_what_somebody_signed_with_sigstore_is_about_the_bundle(
    cli, bundle: Path, home: Path
) -> None:
    done = cli("verify", str(bundle), *signed(home, "hello", bundle.name))
    assert done.code == 0
    assert "holds  sigstore: signed by GitHub:owner/repository:build.yml on 2026-01-01" in done.out
    archive = bundle.parent / f"{bundle.name}.tar.gz"
    with archive.open("wb") as file:
        pack(bundle, file)
    of_archive = signed(home, archive.name, hashlib.sha256(archive.read_bytes()).hexdigest())
    assert cli("verify", str(archive), *of_archive).code == 0
    for name, who, words in (
        ("0" * 64, "owner/repository", "is not about this bundle"),
        (bundle.name, "thief/repository", "signed by GitHub:thief/repository:build.yml at"),
    ):
        done = cli("verify", str(bundle), *signed(home, "hello", name, who))
        assert done.code == 1 and "FAILS  sigstore" in done.out and words in done.out
    file, key, _, _, *signer = signed(home, "hello", bundle.name)
    done = cli("verify", str(bundle), file, key, *signer)
    assert done.code == 1 and "no log of the trusted root" in done.out
    (home / "a.sigstore.json").write_bytes(b"{}")
    assert cli("verify", str(bundle), file, key, *signer).code == 1


def test_sigstore_without_a_signer_or_of_a_function_is_no_check(
    cli, bundle: Path, home: Path
) -> None:
    options = signed(home, "hello", bundle.name)
    assert cli("verify", str(bundle), *options[:2]).code == 2
    assert cli("verify", str(bundle), *options[2:]).code == 2
    assert cli("verify", "hello", *options).code == 2
    gone = cli("verify", str(bundle), "--sigstore", str(home / "gone"), "--signer", "x")
    assert gone.code == 1 and "cannot be read" in gone.err


def test_with_a_branch_only_what_was_built_of_it_counts(cli, bundle: Path, home: Path) -> None:
    *options, signer = signed(home, "hello", bundle.name)
    assert cli("verify", str(bundle), *options, f"{signer}@refs/tags/v1").code == 0
    assert cli("verify", str(bundle), *options, f"{signer}@refs/heads/main").code == 1


def test_what_a_deploy_brings_is_about_what_was_built(home: Path) -> None:
    digests = ["a" * 64, "b" * 64]
    files = []
    for digest in (*digests, "c" * 64):
        signed(home, "hello", digest)
        files.append(home / f"{digest}.json")
        (home / "a.sigstore.json").rename(files[-1])
    brought = about_bundles(read_signed(files[:2]), digests)
    assert [json.loads(brought[one])["mediaType"] for one in digests]
    large, empty, no_text = home / "large", home / "empty", home / "no-text"
    large.write_bytes(b" " * (MAX_SIGSTORE_CHARS + 1))
    empty.write_bytes(b"")
    no_text.write_bytes(files[0].read_bytes()[:-1] + b', "x": "\xff"}')
    for wrong, words in (
        (files[2], "is about 'cccc"),
        (large, "is larger than"),
        (empty, "It is no Sigstore bundle"),
        (no_text, "cannot be used"),
        (home / "gone", "cannot be read"),
        (home, "cannot be read"),
        (files[0], "another --sigstore is about"),
    ):
        with pytest.raises(CommandError, match=words):
            about_bundles(read_signed([files[0], wrong]), digests)


def test_what_a_node_keeps_of_a_signing_is_verified_here(home: Path) -> None:
    digest = "a" * 64
    signed(home, "hello", digest)
    kept, root = (home / "a.sigstore.json").read_text(), (home / "trusted.json").read_text()
    assert kept_signing(kept, root, digest) == (
        True,
        "signed by GitHub:owner/repository:build.yml at 'refs/tags/v1' on 2026-01-01 12:00 UTC, "
        "by keys that the node names",
    )
    for sigstore, trusted, of in ((kept, "", digest), (kept, root, "b" * 64), ("{}", root, digest)):
        assert not kept_signing(sigstore, trusted, of)[0]
