"""Hold the verification of attestations against sigstore's own, over changed attestations.

    python -m bench.attestations --python VENV/bin/python [--changes N] [--seed N] [--json]

VENV is an environment with `sigstore` (4.5) and `pypi-attestations`, which this project does not
depend on. Changed are the real attestations of the tests, and those of an instance made here. What
the libraries refuse has to be refused here (`laxer` is 0); `stricter` is what only we refuse.
"""

from __future__ import annotations

import argparse
import base64
import copy
import importlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from casemate.sigstore import Attestation, AttestationError, of_attestation, read_root, verified

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests/unit/sigstore/attestations"
# Runs with the libraries: reads a line for each attestation, answers 1 where they believe it.
JUDGE = """
import json, sys
import pypi_attestations as pypi
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import UnsafeNoOp
verifiers = {name: Verifier(trusted_root=TrustedRoot.from_file(name)) for name in sys.argv[1:]}
for line in sys.stdin:
    name, told = json.loads(line)
    try:
        one = pypi.Attestation.model_validate(told)
        verifiers[name].verify_dsse(one.to_bundle(), UnsafeNoOp())
        print(1)
    except Exception:
        print(0)
"""
Case = tuple[str, dict[str, Any]]


def originals(own_root: str, public_root: str) -> list[Case]:
    """Return attestations that hold, each with the file of keys that it is judged by."""
    sys.path.insert(0, str(ROOT / "tests"))
    keys = importlib.import_module("support.sigstore_keys")
    own = keys.own_sigstore()
    found: list[Case] = []
    for number in range(4):
        payload = keys.statement(f"six-{number}.whl", f"{number}" * 64)
        found.append((own_root, own.made(payload, keys.github("owner/six")).attestation()))
    for path in sorted(FOLDER.glob("*.provenance.json")):
        for bundle in json.loads(path.read_bytes())["attestation_bundles"]:
            found += [(public_root, each) for each in bundle["attestations"]]
    Path(own_root).write_bytes(own.trusted_root())
    return found


def leaves(told: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a document that has a text, a number or nothing, as (holder, key)."""
    for key, value in list(told.items() if isinstance(told, dict) else enumerate(told)):
        if isinstance(value, dict | list):
            yield from leaves(value)
        else:
            yield told, key


def changed(cases: list[Case], pick: random.Random) -> Case:
    """Return one case with a change: a bit, a value of another, a missing or doubled part."""
    root, whole = pick.choice(cases)
    told = copy.deepcopy(whole)
    holder, key = pick.choice(list(leaves(told)))
    way = pick.randrange(5)
    if way == 0:
        del holder[key]
    elif way == 1:
        other = copy.deepcopy(pick.choice(cases)[1])
        same = [each for each in leaves(other) if each[1] == key]
        holder[key] = pick.choice(same)[0][pick.choice(same)[1]] if same else None
    elif way == 2 and isinstance(holder, list):
        holder.append(holder[key])
    elif isinstance(holder[key], str):
        holder[key] = bent(holder[key], pick)
    return root, told


def bent(value: str, pick: random.Random) -> str:
    """Return a text with a bit changed: of what it encodes, or of itself."""
    try:
        data = bytearray(base64.b64decode(value, validate=True))
        encoded = len(data) > 3
    except ValueError:
        encoded = False
    if not encoded:
        data = bytearray(value.encode())
    data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
    return base64.b64encode(data).decode() if encoded else data.decode("utf-8", "replace")


def judged(case: Case, roots: dict[str, Any]) -> str:
    """Return nothing where we believe an attestation, else why not."""
    try:
        verified(of_attestation(msgspec.convert(case[1], Attestation)), roots[case[0]])
    except (AttestationError, msgspec.MsgspecError) as error:
        return str(error) or "unreadable"
    return ""


def main() -> None:
    """Print how often both agree."""
    parser = argparse.ArgumentParser(prog="python -m bench.attestations", description=__doc__)
    parser.add_argument("--python", required=True)
    parser.add_argument("--changes", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    pick = random.Random(given.seed)
    public = str(resources.files("casemate.sigstore") / "trusted_root.json")
    with tempfile.TemporaryDirectory() as folder:
        own = str(Path(folder) / "own.json")
        cases = originals(own, public)
        roots = {name: read_root(Path(name).read_bytes(), name) for name in (own, public)}
        asked = [*cases, *(changed(cases, pick) for _ in range(given.changes))]
        began = time.perf_counter()
        ours = [judged(each, roots) for each in asked]
        seconds = time.perf_counter() - began
        lines = "".join(f"{json.dumps(each)}\n" for each in asked)
        finished = subprocess.run(
            [given.python, "-c", JUDGE, own, public],
            input=lines, capture_output=True, text=True, check=True, timeout=900,
        )  # fmt: skip
    theirs = [line == "1" for line in finished.stdout.split()]
    pairs = list(zip(ours, theirs, asked, strict=True))
    told = {
        "attestations": len(asked),
        "originals_believed": sum(not why and both for why, both, _ in pairs[: len(cases)]),
        "both_believe": sum(not why and both for why, both, _ in pairs),
        "both_refuse": sum(bool(why) and not both for why, both, _ in pairs),
        "laxer": sum(not why and not both for why, both, _ in pairs),
        "stricter": dict(Counter(why for why, both, _ in pairs if why and both).most_common(20)),
        "ms_each": round(1000 * seconds / len(asked), 2),
    }
    print(json.dumps(told, indent=None if given.json else 2))
    for why, both, case in pairs:
        if not why and not both:
            print(json.dumps(case), file=sys.stderr)


if __name__ == "__main__":
    main()
