"""Real interpreters, hand-made wheels, and a bundle made without a sandbox."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

from casemate.build.interpreters import Interpreter, choose_interpreter, find_interpreters
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.function import FunctionSpec

TODAY = date(2026, 11, 1)
MakeWheel = Callable[..., Path]
MakeBundle = Callable[..., Path]


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """What the tests make themselves, a step must be able to read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def interpreters() -> tuple[Interpreter, ...]:
    return find_interpreters(today=TODAY, environ=dict(os.environ))


@pytest.fixture(scope="session")
def interpreter(interpreters: Sequence[Interpreter]) -> Interpreter:
    return choose_interpreter(interpreters, None, today=TODAY)[0]


@pytest.fixture
def make_wheel() -> MakeWheel:
    def make(
        folder: Path,
        name: str,
        files: Mapping[str, str],
        *,
        version: str = "1.0",
        tag: str = "py3-none-any",
        requires: Sequence[str] = (),
    ) -> Path:
        info = f"{name}-{version}.dist-info"
        needs = "".join(f"Requires-Dist: {r}\n" for r in requires)
        everything = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        rows = [f"{path},{_record_hash(text)}" for path, text in everything.items()]
        everything[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
        folder.mkdir(parents=True, exist_ok=True)
        wheel = folder / f"{name}-{version}-{tag}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in everything.items():
                archive.writestr(zipfile.ZipInfo(path), text)
        return wheel

    return make


def _record_hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
    return f"sha256={digest.decode()},{len(text.encode())}"


@pytest.fixture
def make_bundle() -> MakeBundle:
    def make(folder: Path, files: Mapping[str, bytes]) -> Path:
        manifest = BundleManifest(
            project="demo",
            function=FunctionSpec(name="hello", handler="app:handler", python="3.12"),
            lock_sha256=None,
            files=tuple(
                BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
                for path, data in sorted(files.items())
            ),
        )
        bundle = folder / manifest.digest()
        bundle.mkdir(parents=True)
        (bundle / "bundle.json").write_bytes(manifest.canonical())
        for path, data in files.items():
            (bundle / path).parent.mkdir(parents=True, exist_ok=True)
            (bundle / path).write_bytes(data)
        return bundle

    return make
