"""The part of an image that is the distribution's: chosen and verified by apt, and unpacked.

What a set-up would make, and a node needs, is made here: certificates and accounts. There is no
shell, no package manager and no setuid program in the image.
"""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from scripts.image.errors import ImageError
from scripts.image.running import run

WANTED = ("base-files", "bubblewrap", "ca-certificates", "python3")
LEFT_OUT = frozenset({"debconf", "dpkg", "mawk", "openssl", "perl-base", "readline-common", "tar"})
"""Needed by others only to set themselves up, or as programs that nothing of a node starts."""
_DROPPED = ("usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "var/cache")
_DOCUMENTS = "usr/share/doc"
ACCOUNTS = (
    *(("root", 0), ("casemate", 64_800), ("casemate-sandbox", 64_801), ("casemate-vault", 64_802)),
    *(("casemate-egress", 64_803), ("casemate-sources", 64_804), ("casemate-restorer", 64_805)),
    *(("casemate-recorder", 64_806), ("casemate-monitor", 64_807)),
    *(("casemate-http-worker", 64_808), ("nobody", 65_534)),
)
"""Those of `casemate.model.processes`, so that lists of processes have names."""


@dataclass(frozen=True)
class DistributionPackage:
    """A package of the distribution, as it was downloaded."""

    name: str
    version: str
    architecture: str
    sha256: str
    control: str
    file: Path


def download(folder: Path) -> list[DistributionPackage]:
    """Download what is wanted and all that it needs, verified by apt. Raises ImageError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "partial").mkdir(exist_ok=True)
    options = {
        # As if nothing were installed: all that is needed is named.
        "Dir::State::status": "/dev/null",
        "Dir::Cache::archives": str(folder.absolute()),
        "APT::Install-Recommends": "false",
        "APT::Get::List-Cleanup": "false",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    wanted = ["-y", "install", *WANTED]
    # What is in the folder already would not be listed, hence another one.
    elsewhere = ["-o", "Dir::Cache::archives=/nonexistent"]
    listed = run(["apt-get", "-qq", "--print-uris", *words, *elsewhere, *wanted]).decode()
    names = re.findall(r"^'[^']*' (\S+\.deb) ", listed, re.MULTILINE)
    # apt compares the digests of what is there already.
    run(["apt-get", "-qq", "--download-only", *words, *wanted])
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        raise ImageError(f"apt did not download {missing or WANTED}. Next: apt-get update.")
    found = [_package(folder / name) for name in sorted(names)]
    return [one for one in found if one.name not in LEFT_OUT]


def _package(path: Path) -> DistributionPackage:
    control = run(["dpkg-deb", "--field", path]).decode()
    fields = dict(re.findall(r"^(Package|Version|Architecture): (.+)$", control, re.MULTILINE))
    return DistributionPackage(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields["Architecture"],
        sha256=sha256(path.read_bytes()).hexdigest(),
        control=control,
        file=path,
    )


def unpack(packages: list[DistributionPackage], root: Path) -> None:
    """Unpack packages into a folder, and make what their set-up would."""
    root.mkdir(parents=True)
    for package in sorted(packages, key=lambda one: one.name != "base-files"):
        content = run(["dpkg-deb", "--fsys-tarfile", package.file])
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            # Links of a distribution are absolute (alternatives, certificates), so not "data".
            archive.extractall(root, filter="tar")
        status = root / "var/lib/dpkg/status.d" / package.name
        status.parent.mkdir(parents=True, exist_ok=True)
        # Where scanners of images without a package manager look.
        status.write_text(package.control, encoding="utf-8")
    for folder in _DROPPED:
        shutil.rmtree(root / folder, ignore_errors=True)
    _keep_licences(root / _DOCUMENTS)
    _make_certificates(root)
    _make_accounts(root)


def _keep_licences(documents: Path) -> None:
    for path in sorted(documents.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.name != "copyright" and not (path.is_symlink() and path.exists()):
            path.unlink()


def _make_certificates(root: Path) -> None:
    authorities = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    if not authorities:
        raise ImageError("ca-certificates brings no certificates.")
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(path.read_bytes() for path in authorities))
    (root / "etc/ssl/cert.pem").symlink_to("certs/ca-certificates.crt")


def _make_accounts(root: Path) -> None:
    nowhere = "/nonexistent:/usr/sbin/nologin"
    users = [f"{name}:x:{number}:{number}::{nowhere}\n" for name, number in ACCOUNTS]
    (root / "etc/passwd").write_text("".join(users), encoding="ascii")
    groups = [f"{name}:x:{number}:\n" for name, number in ACCOUNTS]
    (root / "etc/group").write_text("".join(groups), encoding="ascii")


def python_of(packages: list[DistributionPackage]) -> str:
    """Return the minor version of the interpreter, such as 3.13. Raises ImageError."""
    found = [re.fullmatch(r"python(3\.[0-9]+)", one.name) for one in packages]
    minors = [match[1] for match in found if match]
    if len(minors) != 1:
        raise ImageError(f"The packages bring {len(minors)} interpreters, expected one.")
    return minors[0]
