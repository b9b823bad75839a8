"""The examples as projects of the demo: copied, prepared, deployed."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

from node import Node
from workspace import CASEMATE, EXAMPLES, HOME, PROJECTS, ROOT, UV, run

WRITTEN_HERE = ("trusted_keys.txt", "sender.key")
"""Files of a copied project that the demo itself adds to; a later copy leaves them alone."""


def copy_project(name: str) -> Path:
    """Copy an example, so that nothing is written into the checkout; return the copy."""
    target = PROJECTS / name

    def left_out(folder: str, names: list[str]) -> set[str]:
        written = Path(folder).relative_to(EXAMPLES / name)
        kept = {n for n in WRITTEN_HERE if (target / written / n).exists()}
        return (kept | {"__pycache__"}) & set(names)

    shutil.copytree(EXAMPLES / name, target, ignore=left_out, dirs_exist_ok=True)
    return target


def import_advisories(node: Node) -> str:
    """Give the node the small set of advisories that the examples bring; return what was said."""
    source: list[str | Path] = [EXAMPLES / "advisories", "--ecosystem", "PyPI", "--node"]
    own = {**node.variables, "CASEMATE_ADVISORIES": str(HOME / "advisories")}
    return run([CASEMATE, "advisories", "import", *source], ROOT, own).splitlines()[0]


def deploy(project: Path, node: Node) -> str:
    """Build and deploy a project; return what to print of it."""
    start = time.perf_counter()
    # The first deploy of a function with any grant needs a yes, as a wider one does.
    command = [CASEMATE, "deploy", "--approve", "--json"]
    deployed = json.loads(run(command, project, node.variables))["deployed"]
    spent = time.perf_counter() - start
    names = [f"{one['function']} version {one['version']}" for one in deployed]
    unchanged = all(one["unchanged"] for one in deployed)
    return f"{', '.join(names)}, {'unchanged' if unchanged else f'in {spent:.1f} s'}"


def sender(project: Path, *arguments: str | Path) -> str:
    """Run the webhook example's sender in an environment that has what it needs."""
    packages = ["--no-project", "--python", sys.executable, "--with-requirements"]
    command = [UV, "run", "--quiet", *packages, "requirements.txt", "python", "sender.py"]
    return run([*command, *map(str, arguments)], project)


def signed_headers(project: Path, payload: Path) -> dict[str, str]:
    """Return the headers that a file is sent with; make the sender's key first if it has none."""
    if not (project / "sender.key").exists():
        sender(project, "keygen")
    lines = sender(project, "headers", payload).splitlines()
    return dict(line.split(": ", 1) for line in lines)
