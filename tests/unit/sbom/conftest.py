"""Bundles with packages, laid out by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from casemate.model.bundle import BundleFile, BundleManifest, LockedPackage
from casemate.model.function import FunctionSpec

MakeBundle = Callable[..., tuple[Path, BundleManifest]]


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    def make(
        *packages: Mapping[str, str],
        named: tuple[tuple[str, str], ...] | None = None,
        more: Mapping[str, str] = {},
        folder: str = "bundles",
    ) -> tuple[Path, BundleManifest]:
        files = {"code/app.py": "def handler(event, context): ...\n", **more}
        found = []
        for package in packages:
            files |= {f"deps/{path}": text for path, text in package.items()}
            [info] = {path.split("/")[0] for path in package if ".dist-info/" in path}
            name, version = info.removesuffix(".dist-info").rsplit("-", 1)
            found.append((name.lower().replace("_", "-"), version))
        manifest = BundleManifest(
            project="demo",
            function=FunctionSpec(name="hello", handler="app:handler", python="3.11"),
            lock_sha256="0" * 64 if packages else None,
            packages=tuple(
                LockedPackage(name=name, version=version)
                for name, version in named or sorted(found)
            ),
            files=tuple(
                BundleFile(
                    path=path,
                    size=len(text.encode()),
                    sha256=hashlib.sha256(text.encode()).hexdigest(),
                )
                for path, text in sorted(files.items())
            ),
        )
        root = tmp_path / folder / manifest.digest()
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / "bundle.json").write_bytes(manifest.canonical())
        return root, manifest

    return make
