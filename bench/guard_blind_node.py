"""The programs of `bench.guard_blind` as functions of a node: each event is a call of one.

A node's sandboxes have no file of Casemate, no network and few programs, and an instance serves
what the gateway has admitted: what holds in the trial's own sandboxes could be missing there.
Programs that need packages are left out: they would be locked and built, which is not measured.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from bench.capabilities import CheckoutNode
from bench.errors import BenchError
from bench.guard_blind_programs import ATTACK, Case, Program

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "trial"
UNCHECKED = "could not be checked"
NO_RECORD = "no record"
"""The outcome of a call that left none: it counts neither as stopped nor as answered."""
_SECONDS = 60.0
_LOOKS, _LOOK_SECONDS = 5, 0.5
_MANIFEST = """
[project]
name = "{project}"
[function.{name}]
handler = "handler:handler"
limits = {{ memory = "512MB", timeout = "20s" }}
"""


def outcomes(programs: Sequence[Program]) -> list[tuple[Case, str, str]]:
    """Return each case with how its call ended, and what a denial of it says.

    Telling of each program that is done. Raises BenchError if a program cannot be deployed.
    """
    found: list[tuple[Case, str, str]] = []
    node = CheckoutNode(ROOT)
    try:
        for number, program in enumerate(programs, 1):
            name = f"f{number}"
            _deploy(node, program, name)
            found += [(case, *_ended(node, name, case.event)) for case in program.cases]
            sys.stderr.write(f"{number} of {len(programs)}: {program.folder.name}\n")
    finally:
        node.close()
    return found


def _deploy(node: CheckoutNode, program: Program, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="cmblind-", dir="/var/tmp") as folder:
        source = Path(folder) / "project"
        ignored = shutil.ignore_patterns("__pycache__", "cases.json")
        shutil.copytree(program.folder, source, ignore=ignored)
        manifest = _MANIFEST.format(project=PROJECT, name=name)
        (source / "casemate.toml").write_text(manifest, "utf-8")
        try:
            node.command("deploy", folder=source)
        except BenchError as error:
            raise BenchError(f"{program.folder.name}: {error}") from error


def _ended(node: CheckoutNode, name: str, event: Any) -> tuple[str, str]:
    """Call a function; return the outcome that the node keeps of it, and why it was stopped."""
    endpoint = node.endpoint(name, PROJECT)
    headers = {**dict(endpoint.headers), "Content-Type": "application/json"}
    request = urllib.request.Request(endpoint.url, json.dumps(event).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            answer.read()
            return "ok", ""
    except urllib.error.HTTPError as answer:
        status, identity = answer.code, answer.headers.get("x-request-id", "")
        answer.close()
    except (OSError, HTTPException) as error:
        return NO_RECORD, f"no answer: {type(error).__name__}"
    if not identity:
        return NO_RECORD, f"answered {status} without an id"
    kept = _kept(node, identity)
    if kept is None:
        return NO_RECORD, f"answered {status} as {identity}"
    outcome = str(kept["outcome"])
    if outcome != "blocked":
        return outcome, ""
    denied = node.read("denials", "--invocation", identity, "--json")
    return outcome, "; ".join(str(one["reason"]) for one in denied["denials"])


def _kept(node: CheckoutNode, identity: str) -> dict[str, Any] | None:
    """Return the record of a call, None where it left none in a time."""
    for _ in range(_LOOKS):
        with contextlib.suppress(BenchError):  # so the command ends where there is none
            found = node.read("invocations", "--id", identity, "--json")["invocations"]
            if found:
                return dict(found[0])
        time.sleep(_LOOK_SECONDS)
    return None


def report(found: Sequence[tuple[Case, str, str]], left_out: int) -> str:
    """Return the figures, and each case that did not go as it should."""
    counted = Counter((case.kind, outcome) for case, outcome, _ in found)
    lines = ["| kind | outcome | calls |", "|---|---|---|"]
    lines += [f"| {kind} | {how} | {n} |" for (kind, how), n in sorted(counted.items())]
    lines += ["", f"{left_out} programs need packages and were left out."]
    for case, outcome, why in found:
        if case.kind == ATTACK and outcome == "ok":
            lines.append(f"- answered: {case.program} {case.number} ({case.sink}): {case.why}")
        elif case.kind != ATTACK and outcome in ("blocked", "exposed"):
            lines.append(f"- refused: {case.program} {case.number} ({case.sink}): {why[:300]}")
        if outcome == NO_RECORD:
            lines.append(f"- {NO_RECORD}: {case.program} {case.number} ({case.sink}): {why}")
        if UNCHECKED in why:
            lines.append(f"- {UNCHECKED}: {case.program} {case.number} ({case.sink}): {why[:300]}")
    return "\n".join(lines)
