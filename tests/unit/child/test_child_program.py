"""What the processes of a node load, and what they have written to by then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = {"pydantic", "typer", "rich", "typing_extensions", "casemate.cli.main"}
"""Nobody's in a node."""
NO_LOOP = {"asyncio", "ssl", "inspect", "dataclasses", "cryptography", "casemate.operations"}
PROCESSES = {
    # module: (what it must not load, MB that it may have written to)
    "casemate.supervisor.serve": (SHARED | NO_LOOP | {"argon2", "zoneinfo"}, 16.5),
    "casemate.restorer.process": (SHARED | NO_LOOP | {"hashlib"}, 11.5),
    "casemate.vault.process": (SHARED | {"dataclasses", "email", "sqlcipher3", "httpx2"}, 20),
    "casemate.recorder.process": (SHARED | {"zoneinfo", "email", "http.client", "httpx2"}, 24),
    "casemate.monitor.process": (
        SHARED | {"zoneinfo", "email.message", "http.client", "sqlcipher3", "httpx2"},
        25,
    ),
    "casemate.egress.process": (SHARED | {"cryptography", "zoneinfo", "email", "sqlcipher3"}, 17),
    "casemate.http_workers.process": (
        SHARED | {"cryptography", "zoneinfo", "email.message", "sqlcipher3", "casemate.store"},
        16,
    ),
    "casemate.sources.process": (SHARED | {"zoneinfo", "sqlcipher3", "starlette"}, 25),
    "casemate.gateway.process": (
        {"pydantic", "typer", "rich", "psycopg", "casemate.data.postgresql", "cedarpy.pst"}
        | {"_sysconfigdata__linux_x86_64-linux-gnu", "casemate.blobs.s3_client", "statistics"},
        60,
    ),
}
LOADED_BY_LOGGING = {"dataclasses", "inspect"} if sys.version_info >= (3, 14) else set[str]()
"""By the interpreter's own `traceback`, which colours; it costs some 2 MB."""
MORE = 2.5 if LOADED_BY_LOGGING else 0
PROBE = """
import importlib, os, sys
os.environ["PYTHONTZPATH"] = "/usr/share/zoneinfo"
import casemate.child.program
importlib.import_module(sys.argv[1])
with open("/proc/self/smaps_rollup") as file:
    anonymous = next(line.split()[1] for line in file if line.startswith("Anonymous:"))
print(anonymous, *sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


@pytest.mark.parametrize("module", PROCESSES)
def test_a_process_loads_what_its_role_needs(module: str) -> None:
    """What it loads it holds for as long as it runs: nothing that only others use, or a setting."""
    without, most = PROCESSES[module]
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE, module, *without],
        capture_output=True,
        text=True,
        check=True,
    )
    kilobytes, *loaded = done.stdout.split()
    assert set(loaded) <= LOADED_BY_LOGGING
    assert int(kilobytes) / 1024 <= most + MORE


def test_msgspec_does_the_same_without_typing_extensions() -> None:
    code = (
        "import casemate.child.lean_msgspec, sys, msgspec\n"
        "from typing import TypedDict, NotRequired, Annotated\n"
        "Short = Annotated[str, msgspec.Meta(max_length=2)]\n"
        "class T(TypedDict):\n a: int\n b: NotRequired[Short]\n"
        "print(msgspec.json.decode(b'{\"a\": 1}', type=T), 'typing_extensions' in sys.modules)\n"
        "import typing_extensions\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "{'a': 1} False"


def test_cedar_has_its_syntax_tree_for_whoever_names_it() -> None:
    code = (
        "import casemate.policy, cedarpy, sys\n"
        "print('cedarpy.pst' in sys.modules, hasattr(cedarpy, 'pst'))\n"
        "from cedarpy import pst\n"
        "print(len(cedarpy.policies_to_pst('permit(principal, action, resource);')"
        ".static_policies), pst.PolicySet.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["False False", "1 PolicySet"]


@pytest.mark.parametrize("starter", ["program", "bound"])
def test_no_garbage_is_looked_for_while_modules_are_loaded(starter: str, tmp_path: Path) -> None:
    """It takes a tenth of a start, and finds nothing."""
    (tmp_path / "probed.py").write_text(
        "import gc\n"
        "runs = []\n"
        "gc.callbacks.append(lambda phase, _: runs.append(phase))\n"
        "made = [[n] for n in range(200_000)]\n"
        "print(len(runs), gc.isenabled())\n"
    )
    parent = [str(os.getpid())] if starter == "bound" else []
    done = subprocess.run(
        [sys.executable, "-m", f"casemate.child.{starter}", *parent, "probed"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.stdout == "0 True\n"
