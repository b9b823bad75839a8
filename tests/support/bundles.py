"""Bundles by hand: built once, then uploaded, deployed, or declared anew without another build."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from casemate.build import pack
from casemate.build.bundle import build
from casemate.manifest import load
from casemate.model.bundle import BundleManifest
from support.built_bundles import interpreters_of_host
from support.node import MANIFEST, TestNode
from support.signing import attest, document_of


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory."""

    manifest: BundleManifest
    files: dict[str, bytes]

    @property
    def digest(self) -> str:
        return self.manifest.digest()

    def declared(self, *, project: str | None = None, **changes: Any) -> Bundle:
        """Return the same code with another declaration of its function: another bundle."""
        spec = msgspec.structs.replace(self.manifest.function, **changes)
        project = project or self.manifest.project
        return Bundle(
            msgspec.structs.replace(self.manifest, project=project, function=spec), self.files
        )

    def archive(self, *, code_only: bool = False) -> bytes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / self.digest
            for path, content in self.files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            (folder / "bundle.json").write_bytes(self.manifest.canonical())
            packed = io.BytesIO()
            pack(folder, packed, without=self.manifest.pieces() if code_only else ())
            return packed.getvalue()


def make_bundle(
    source: str,
    *,
    name: str = "f",
    project: str = "t",
    settings: str = "",
    limits: str = "",
    routes: str = "",
) -> Bundle:
    """Build a function from the text of its `app.py`."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "app.py").write_text(source)
        (root / "casemate.toml").write_text(
            MANIFEST.format(
                project=project,
                name=name,
                handler="app:handler",
                settings=settings,
                limits=limits,
                routes=routes,
            )
        )
        loaded = load(root / "casemate.toml")
        made = build(
            *(root, loaded.name, loaded.functions[0], root / "out"),
            interpreters=interpreters_of_host(),
        )
        files = {f.path: (made.path / f.path).read_bytes() for f in made.manifest.files}
        return Bundle(made.manifest, files)


def upload(node: TestNode, digest: str, archive: bytes, **headers: str) -> httpx2.Response:
    """Upload an archive under a digest, whether or not it is that of the archive."""
    return node.client.put(
        f"{node.url}/api/v1/bundles/{digest}",
        content=archive,
        headers={"content-type": "application/gzip", **headers},
    )


def deploy(node: TestNode, bundle: Bundle, *, name: str | None = None) -> httpx2.Response:
    """Deploy a bundle that was uploaded before, under its own name unless another is given."""
    name = name or f"{bundle.manifest.project}/{bundle.manifest.function.name}"
    sign(node, bundle)
    return node.client.post(
        f"{node.url}/api/v1/functions/{name}/versions", json={"digest": bundle.digest}
    )


def sign(node: TestNode, bundle: Bundle) -> httpx2.Response:
    """Vouch for a bundle, for one deploy."""
    document = document_of(bundle.manifest, bundle.files)
    return attest(node.client, node.url, bundle.manifest, document)


def publish(node: TestNode, bundle: Bundle) -> int:
    """Upload and deploy a bundle; return the number of the version."""
    uploaded = upload(node, bundle.digest, bundle.archive())
    assert uploaded.status_code in (200, 201), uploaded.text
    deployed = deploy(node, bundle)
    assert deployed.status_code == 201, deployed.text
    return int(deployed.json()["number"])
