"""An OCI image layout: layers, configuration, manifest, index, in one tar archive.

The same files give the same bytes: names in order, one time, root as the owner, no names of users.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEX = "application/vnd.oci.image.index.v1+json"
_OWNER = {"var/lib/casemate": 64_800}
"""What belongs to a user: the data of a node that an ordinary user runs."""
_MODE = 0o755
"""Rights that a file can have in the image: neither setuid, nor writable for others."""


@dataclass(frozen=True)
class Blob:
    """Bytes that are named by their digest."""

    content: bytes
    kind: str

    @property
    def digest(self) -> str:
        """Return the hexadecimal SHA-256."""
        return sha256(self.content).hexdigest()

    @property
    def descriptor(self) -> dict[str, Any]:
        """Return what names it in a manifest."""
        return {
            "mediaType": self.kind,
            "digest": f"sha256:{self.digest}",
            "size": len(self.content),
        }


@dataclass(frozen=True)
class Layer:
    """A part of the image's files."""

    blob: Blob
    diff_id: str
    comment: str


def make_layer(
    root: Path, takes: Callable[[str], bool], epoch: int, comment: str, *, folders: bool = False
) -> Layer:
    """Return a layer of those files below a root whose path `takes` says yes to.

    `folders` has all folders in it, also those that hold nothing of it.
    """
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(_names(root)):
            path = root / name
            is_folder = path.is_dir() and not path.is_symlink()
            if takes(name) or (folders and is_folder):
                _add(archive, path, name, epoch)
    plain = written.getvalue()
    packed = gzip.compress(plain, compresslevel=6, mtime=0)
    return Layer(Blob(packed, _LAYER), f"sha256:{sha256(plain).hexdigest()}", comment)


def _names(root: Path) -> Iterable[str]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            yield str((Path(folder) / name).relative_to(root))


def _add(archive: tarfile.TarFile, path: Path, name: str, epoch: int) -> None:
    found = path.lstat()
    entry = tarfile.TarInfo(name)
    entry.mtime = epoch
    entry.uid = entry.gid = _OWNER.get(name, 0)
    if stat.S_ISLNK(found.st_mode):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        archive.addfile(entry)
    elif stat.S_ISDIR(found.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, _folder_mode(name, found.st_mode)
        archive.addfile(entry)
    elif stat.S_ISREG(found.st_mode):
        entry.size = found.st_size
        entry.mode = 0o755 if found.st_mode & 0o111 else 0o644
        with path.open("rb") as file:
            archive.addfile(entry, file)
    else:
        raise ValueError(f"{name} is neither file, folder nor link")


def _folder_mode(name: str, mode: int) -> int:
    if name in ("tmp", "var/tmp"):
        return 0o1777
    return 0o700 if name in _OWNER else mode & _MODE | 0o755


def image_config(
    layers: list[Layer], labels: dict[str, str], created: str, version: str
) -> dict[str, Any]:
    """Return the configuration: an ordinary user, one command, no secret in the environment."""
    return {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": "64800:64800",
            "Env": ["PATH=/opt/casemate/bin:/usr/bin", "LANG=C.UTF-8"],
            "Entrypoint": ["/opt/casemate/bin/casemate"],
            "Cmd": ["serve", "--data", "/var/lib/casemate"],
            "ExposedPorts": {"8787/tcp": {}},
            "Volumes": {"/var/lib/casemate": {}},
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Labels": {**labels, "org.opencontainers.image.version": version},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": created, "created_by": layer.comment} for layer in layers],
    }


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def write_layout(
    path: Path, layers: list[Layer], config: dict[str, Any], name: str, epoch: int
) -> str:
    """Write the image as one tar archive of a layout; return the digest of its manifest."""
    configuration = Blob(_json(config), _CONFIG)
    manifest = Blob(
        _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": configuration.descriptor,
                "layers": [layer.blob.descriptor for layer in layers],
            }
        ),
        _MANIFEST,
    )
    named = {**manifest.descriptor, "annotations": {"org.opencontainers.image.ref.name": name}}
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [named]}),
    }
    for blob in (configuration, manifest, *(layer.blob for layer in layers)):
        files[f"blobs/sha256/{blob.digest}"] = blob.content
    draft = path.with_name(f".{path.name}.draft")
    with tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as archive:
        for folder in ("blobs", "blobs/sha256"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, epoch
            archive.addfile(entry)
        for each, content in sorted(files.items()):
            entry = tarfile.TarInfo(each)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, epoch
            archive.addfile(entry, io.BytesIO(content))
    draft.replace(path)
    return f"sha256:{manifest.digest}"
