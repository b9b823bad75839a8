"""Whether code comes to the functions that advisories name: never said not to where it does."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from seeded_holes import Case, cases, drawn

from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.evidence import Evidence, PackageEvidence
from casemate.sbom import symbols
from casemate.sbom.symbols import Found, Reach, Symbols, reach_of
from support.core import spec

SEEDED = list(cases())
RUN = """
import contextlib, importlib, io, json, sys
before = set(sys.modules)
for root in json.load(sys.stdin):
    sys.path[:0] = [root + "/code", root + "/deps"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        importlib.import_module("app").handler({}, None)
    print(json.dumps("HIT" in out.getvalue()))
    del sys.path[:2]
    for name in set(sys.modules) - before:
        if hasattr(sys.modules[name], "__file__") and str(sys.modules[name].__file__).startswith(root):
            del sys.modules[name]
    importlib.invalidate_caches()
    import json as again
    importlib.reload(again)
"""


def written(folder: Path, files: dict[str, str]) -> tuple[Path, BundleManifest]:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    listed = tuple(
        BundleFile(path=path, size=len(text), sha256=hashlib.sha256(text.encode()).hexdigest())
        for path, text in sorted(files.items())
    )
    manifest = BundleManifest(project="t", function=spec(), lock_sha256=None, files=listed)
    return folder, manifest


def found(folder: Path, files: dict[str, str], *named: str, **how: object) -> Found:
    return Symbols(*written(folder, files)).of(named, **how)  # type: ignore[arg-type]


def wrong(folder: Path, seeded: list[Case]) -> tuple[list[str], Counter[bool]]:
    """Return what is said wrongly, and how many are told apart or not."""
    mistakes, told = [], Counter[bool]()
    for number, case in enumerate(seeded):
        said = found(folder / str(number), case.files, case.symbol)
        told[said.reach is not Reach.UNKNOWN] += 1
        if said.reach is (Reach.UNREACHED if case.runs is not False else Reach.REACHED):
            mistakes.append(f"{case.name}: {said}")
    return mistakes, told


def test_the_seeded_applications_do_what_they_say(tmp_path: Path) -> None:
    """The truth is what happens: each handler is run."""
    roots = [str(written(tmp_path / str(n), c.files)[0]) for n, c in enumerate(SEEDED)]
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(roots),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ran = [json.loads(line) for line in done.stdout.splitlines()]
    for case, hit in zip(SEEDED, ran, strict=True):
        assert case.runs is None or hit is case.runs, case.name


def test_nothing_that_runs_is_called_out_of_reach(tmp_path: Path) -> None:
    mistakes, told = wrong(tmp_path, SEEDED)
    assert len(SEEDED) >= 100
    assert not mistakes
    assert told[True] >= 0.9 * len(SEEDED), told


@pytest.mark.storm
def test_nor_among_other_code(tmp_path: Path) -> None:
    for seed in range(20):
        mistakes, told = wrong(tmp_path / str(seed), list(drawn(seed, 200)))
        assert not mistakes
        assert told[True] >= 180
