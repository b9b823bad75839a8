"""The packages of a folder of code, as a file that a build reads."""

from __future__ import annotations

import re

from packaging.utils import canonicalize_name

from casemate.audit.model import Place
from casemate.audit.workspace import Workspace
from casemate.decoding import toml_of
from casemate.importing.code import Source
from casemate.importing.outcome import Notes

_NAME = re.compile(r"^\s{0,9}([A-Za-z0-9][A-Za-z0-9._-]{0,99})", re.MULTILINE)
_REFUSED = re.compile(
    r"^\s{0,9}(-e|--editable|git\+|file:|\./|\.\./|[A-Za-z0-9._-]{1,80}\s{0,9}@\s{0,9}(?:git|file))"
)
_OTHERS = ("Pipfile", "poetry.lock", "environment.yml", "setup.py")
_WHY = "which Lambda has, or a layer brought; take it out with the last use of it"


def requirements_of(
    source: Source, workspace: Workspace, *, brought: set[str], notes: Notes
) -> str | None:
    """Return the file of requirements relative to the project, made or completed if need be.

    `brought` are the packages that code imports and that Lambda or a layer gave it.
    """
    start = "" if source.root == "." else f"{source.root}/"
    folder = f"{source.name}/{source.below}" if source.below else source.name
    target, file = f"{folder}/requirements.txt", f"{start}requirements.txt"
    text = workspace.text(file) if target in source.files else None
    project = f"{folder}/pyproject.toml"
    other = workspace.text(f"{start}pyproject.toml") if project in source.files else None
    if text is None and other is not None and _has_project(other):
        for name in sorted(brought):
            what = f"{name} is imported, {_WHY}"
            notes.leave(Place(f"{start}pyproject.toml"), what, "add it to its dependencies")
        return project
    if text is None:
        _others(start, workspace, notes)
    else:
        _refused(text, file, notes)
    named = {canonicalize_name(name) for name in _NAME.findall(text or "")}
    missing = sorted(brought - named)
    if missing:
        before = (text or "").rstrip("\n")
        lines = [*([before] if before else []), *(f"{name}  # {_WHY}" for name in missing)]
        source.files.pop(target, None)
        source.texts[target] = "\n".join(lines) + "\n"
    return target if missing or text is not None else None


def _has_project(text: str) -> bool:
    try:
        return "project" in toml_of(text)
    except ValueError:
        return False


def _others(start: str, workspace: Workspace, notes: Notes) -> None:
    for name in _OTHERS:
        if workspace.has(start + name):
            notes.leave(
                Place(start + name),
                "its packages are not read from this file",
                "export them into a requirements.txt, named as `requirements` in casemate.toml",
                blocking=True,
            )
            return


def _refused(text: str, file: str, notes: Notes) -> None:
    for number, line in enumerate(text.splitlines()[:2_000], 1):
        if _REFUSED.match(line[:400]):
            notes.leave(
                Place(file, number),
                "a build takes no editable, local or version-controlled package",
                "name a release, or see docs/howto/choose-packages.md",
                blocking=True,
            )
