"""Measure who vouches for bundles: signing, bringing it, and looking again before each start.

    python -m bench.signing [--json] [--files N]

One bundle is of a function alone, the other has so many files of dependencies, as pandas has. What
`opening` says is waited for before a zygote is asked for; `beside` is done on a thread while the
handler is imported.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.figures import percentile
from casemate.build import pack
from casemate.gateway.bundles import BundleStore
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.model.bundle import BundleFile, BundleManifest, LockedPackage
from casemate.model.deployment import NewVersion, Version
from casemate.model.facts import Actor
from casemate.model.function import FunctionSpec
from casemate.operations.declaration import Operation
from casemate.operations.deployments import KeepVersions
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.sbom import sbom
from casemate.signing import SigningKey, proof_of, provenance_of, sbom_statement, sealed
from casemate.store.sqlite import attestations, deployments, schema
from casemate.supply import BuilderKeys, Signatures
from casemate.vault.interface import DataKey

TARGETS = {"opening_p50_ms": 2.0}
_ROUNDS = 50
_ADA = Actor("user:ada", "")


class _Store:
    """The store's own SQL, in memory."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        for statement in (
            *schema._DEPLOYMENTS,
            *schema._ATTESTATIONS,
            *schema._TRIALS,
            *schema._SIGNERS,
        ):
            self._connection.execute(statement)

    async def read(self, operation: Operation[Any]) -> Any:
        return self._do(operation)

    async def change(self, operation: Operation[Any]) -> Any:
        return self._do(operation)

    def faults(self) -> tuple[str, ...]:
        """Return that all is well."""
        return ()

    async def close(self) -> None:
        """Forget all."""
        self._connection.close()

    def _do(self, operation: Operation[Any]) -> Any:
        if isinstance(operation, ReadNodeValue):
            return b"1"
        if isinstance(operation, KeepNodeValue):
            return None
        parts = (attestations.performs, deployments.performs)
        perform = next(p.by_type[type(operation)] for p in parts if type(operation) in p.by_type)
        return perform(self._connection, operation)


def _bundle(root: Path, count: int) -> tuple[Path, BundleManifest]:
    files = {"code/app.py": b"def handler(event, context):\n    return 1\n"}
    # Every fourth file is in a folder with four of them: most folders of pandas hold as few.
    folders = (f"few{n // 16}" if n % 4 == 0 else f"many{n % 40}" for n in range(count))
    files |= {f"deps/big/{at}/m{n}.py": b"x = 1\n" * 40 for n, at in enumerate(folders)}
    if count:
        said = b"Metadata-Version: 2.1\nName: big\nVersion: 1.0\n"
        files["deps/big-1.0.dist-info/METADATA"] = said
        rows = [path.removeprefix("deps/") for path in files if path.startswith("deps/big/")]
        files["deps/big-1.0.dist-info/RECORD"] = "".join(f"{r},,\n" for r in rows).encode()
    manifest = BundleManifest(
        project="t",
        function=FunctionSpec(name="f", handler="app:handler", python="3.11"),
        lock_sha256="a" * 64 if count else None,
        packages=(LockedPackage(name="big", version="1.0"),) if count else (),
        files=tuple(
            BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in sorted(files.items())
        ),
    )
    folder = root / manifest.digest()
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "bundle.json").write_bytes(manifest.canonical())
    return folder, manifest


async def _timed(call: Callable[[], Awaitable[Any]], rounds: int = _ROUNDS) -> dict[str, float]:
    taken, spent = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        await call()
        taken.append((time.perf_counter() - began) * 1000)
        spent.append((time.process_time() - used) * 1000)
    return {
        "p50_ms": round(percentile(taken, 0.5), 3),
        "p99_ms": round(percentile(taken, 0.99), 3),
        "cpu_p50_ms": round(percentile(spent, 0.5), 3),
    }


async def _key(_version: int | None) -> DataKey:
    return DataKey(version=1, key=b"k" * 32)


async def _measure(root: Path, count: int) -> dict[str, Any]:
    folder, manifest = _bundle(root / "source", count)
    for name in ("sealed", "unpacked"):
        (root / name).mkdir()
    bundles = BundleStore(SealedFolder(root / "sealed"), root / "unpacked", _key, capacity=1 << 30)
    archive = root / "archive"
    with archive.open("wb") as file:
        pack(folder, file)
    await bundles.put(manifest.digest(), archive)
    store: Any = _Store()
    keys = BuilderKeys(store, lambda _: None, lambda _: 0.0)
    signatures = Signatures(store, keys, lambda _: None)
    key = SigningKey.made()
    public = base64.b64encode(key.public).decode()
    await keys.enrol(public, proof_of(key, "t"), "", by=_ADA, token="t")
    numbers = iter(range(10**6))

    async def sign() -> tuple[Any, Any]:
        made = sbom_statement(manifest, sbom(folder, manifest))
        said = provenance_of(
            manifest, made, builder=key.id, at=time.time(), run=str(next(numbers)), version="b"
        )
        return sealed(said, (key,)), sealed(made, (key,))

    async def document() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(sbom(folder, manifest))
        return found

    envelopes = await sign()
    await signatures.bring(manifest.digest(), *envelopes, by=_ADA)
    admitted = await signatures.admit(manifest, by=_ADA, sbom=document)
    new = NewVersion(
        project="t",
        function="f",
        digest=manifest.digest(),
        spec=manifest.function,
        vouchers=admitted.vouchers,
    )
    (version,) = await store.change(KeepVersions(versions=(new,), by="user:ada"))
    await signatures.bring(manifest.digest(), *await sign(), by=_ADA)

    async def first() -> None:
        keys.revision += 1
        await signatures.require(version)

    return {
        "files": len(manifest.files),
        "sign": await _timed(sign, 10),
        "admit": await _timed(lambda: signatures.admit(manifest, by=_ADA, sbom=document), 10),
        "first_opening": await _timed(first),
        "opening": await _timed(lambda: _open(signatures, bundles, version)),
        "beside": await _timed(lambda: bundles.require_whole(manifest.digest())),
    }


async def _open(signatures: Signatures, bundles: BundleStore, version: Version) -> None:
    await signatures.require(version)
    await bundles.acquire(version.digest)
    bundles.release(version.digest)


def main() -> int:
    """Measure and print; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--files", type=int, default=7_000)
    given = parser.parse_args()
    found = {}
    for name, count in (("function alone", 0), ("large dependencies", given.files)):
        with tempfile.TemporaryDirectory() as temporary:
            found[name] = asyncio.run(_measure(Path(temporary), count))
    met = all(one["opening"]["p50_ms"] <= TARGETS["opening_p50_ms"] for one in found.values())
    if given.json:
        print(json.dumps({"measured": found, "targets": TARGETS, "met": met}, indent=2))
    else:
        for name, one in found.items():
            print(f"{name}: {one.pop('files')} files")
            for what, figures in one.items():
                told = "   ".join(
                    f"{named} {figures[key]:8.3f}"
                    for named, key in (("p50", "p50_ms"), ("p99", "p99_ms"), ("cpu", "cpu_p50_ms"))
                )
                print(f"  {what:14} ms: {told}")
        print(f"opening p50 <= {TARGETS['opening_p50_ms']} ms: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
