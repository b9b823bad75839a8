"""Trying an image without an engine: its layers, unpacked and entered by bubblewrap, as root.

What an engine would add (control groups of its own, a user namespace, its filter) is not tried.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
from scripts.image.errors import ImageError

_DIGEST = "sha256:"
_START_SECONDS, _STOP_SECONDS = 90, 40
_PORT = 18_787


def try_image(path: Path) -> None:
    """Run `casemate doctor` and a node of an image. Raises ImageError for what does not hold."""
    if os.geteuid() != 0:
        raise ImageError("An image is tried as root: its node makes sandboxes with ids of its own.")
    with tempfile.TemporaryDirectory(prefix="casemate-image-", dir="/var/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        config = unpack_image(path, folder / "root")
        entry = config["config"]["Entrypoint"]
        _doctor(folder / "root", entry)
        _serve(folder, entry)
    print("The image holds: every protection that is required, and a node that serves and ends.")


def unpack_image(path: Path, root: Path) -> dict[str, Any]:
    """Unpack the layers of an image, each by its digest; return its configuration."""
    root.mkdir()
    with tarfile.open(path) as archive:
        index = json.loads(_member(archive, "index.json"))
        manifest = json.loads(_blob(archive, index["manifests"][0]["digest"]))
        for layer in manifest["layers"]:
            digest = layer["digest"]
            _blob(archive, digest)
            with (
                archive.extractfile(f"blobs/sha256/{digest.removeprefix(_DIGEST)}") as packed,  # type: ignore[union-attr]
                tarfile.open(fileobj=packed, mode="r:gz") as files,
            ):
                files.extractall(root, filter="tar")
        config: dict[str, Any] = json.loads(_blob(archive, manifest["config"]["digest"]))
    root.chmod(0o755)
    return config


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise ImageError(f"{name} is no file of the image.")
    with file:
        return file.read()


def _blob(archive: tarfile.TarFile, digest: str) -> bytes:
    content = _member(archive, f"blobs/sha256/{digest.removeprefix(_DIGEST)}")
    if f"{_DIGEST}{sha256(content).hexdigest()}" != digest:
        raise ImageError(f"The blob {digest} is not what its name says.")
    return content


def _entered(root: Path, *binds: str) -> list[str]:
    command = ["bwrap", "--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev"]
    command += ["--bind", "/sys", "/sys", "--tmpfs", "/tmp", "--tmpfs", "/run", *binds]  # noqa: S108
    command += ["--unshare-pid", "--unshare-ipc", "--die-with-parent", "--clearenv"]
    return [
        *command,
        "--setenv",
        "PATH",
        "/opt/casemate/bin:/usr/bin",
        "--setenv",
        "LANG",
        "C.UTF-8",
    ]


def _doctor(root: Path, entry: list[str]) -> None:
    done = subprocess.run(
        [*_entered(root), *entry, "doctor", "--json"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    try:
        findings = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError) as error:
        raise ImageError(f"doctor said {done.stderr.decode()[-800:]}") from error
    missing = [each for each in findings if each["required"] and not each["holds"]]
    for each in findings:
        print(f"    {each['name']}: {'holds' if each['holds'] else each['detail'][:120]}")
    if missing:
        raise ImageError(f"{len(missing)} required protections do not hold in the image.")


def _serve(folder: Path, entry: list[str]) -> None:
    """Start a node of the image, ask it whether it is ready, and end it in order."""
    for name in ("data", "keys"):
        (folder / name).mkdir()
    binds = ["--bind", str(folder / "data"), "/var/lib/casemate"]
    binds += ["--bind", str(folder / "keys"), "/etc/casemate"]
    words = ["serve", "--json", "--data", "/var/lib/casemate", "--port", str(_PORT)]
    words += ["--master-key", "file:/etc/casemate/master-key"]
    log = folder / "log"
    with log.open("wb") as file:
        node = subprocess.Popen(
            [*_entered(folder / "root", *binds), *entry, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    try:
        _wait_until_ready(node, log)
        version = httpx2.get(f"http://127.0.0.1:{_PORT}/api/v1/health", timeout=5).json()
        print(f"    a node of it is ready and says {version.get('status')}")
        _end(node)
    finally:
        if node.poll() is None:
            node.kill()
            node.wait()
        shutil.rmtree(folder / "data", ignore_errors=True)


def _wait_until_ready(node: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while node.poll() is None and time.monotonic() < end:
        try:
            answer = httpx2.get(f"http://127.0.0.1:{_PORT}/api/v1/ready", timeout=3)
        except httpx2.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code == 200:
            return
        time.sleep(0.1)
    raise ImageError(f"A node of the image did not serve:\n{log.read_text()[-1500:]}")


def _end(node: subprocess.Popen[bytes]) -> None:
    """Tell the node itself to end: bubblewrap, which waits for it, would only be killed."""
    found = [node.pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
        named = Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0")
        if named[0].endswith(b"python") and b"serve" in named:
            os.kill(one, 15)
            break
    if node.wait(_STOP_SECONDS):
        raise ImageError(f"The node ended with code {node.returncode}, expected 0.")
