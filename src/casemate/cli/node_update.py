"""`casemate deps update --node`: every function of a node with known holes, project by project.

A node hands out no code, so what is updated are folders: those with a project of the node in them.
What fails in one project keeps no other from being updated.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from casemate.cli.building import Workspace
from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.lock_updates import ProjectLocks, Updated, Wish
from casemate.cli.names import MANIFEST_NAME
from casemate.cli.terminal import BOLD, YELLOW, note, print_json, print_line, print_table
from casemate.cli.update_report import document, print_update
from casemate.cli.watching import Result
from casemate.model.errors import CasemateError
from casemate.operations.advisories import ListLiveHoles, LiveHoles

MAX_DEPTH = 4
MAX_FOLDERS = 20_000
"""What is looked through for projects, at most."""
_PASSED = frozenset(("node_modules", "__pycache__", "venv", "site-packages"))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one project."""

    project: str
    functions: tuple[str, ...]
    holes: tuple[str, ...]
    folder: str | None
    result: str
    """`cleared`, `promoted`, `would-clear`, `gone-back`, `undecided`, `stays`, `failed`,
    `no-folder`."""
    detail: str = ""
    done: dict[str, Any] | None = None
    """The same as for a project alone."""

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to do."""
        return self.result in ("cleared", "promoted")


def update_node(folder: Path, wish: Wish, *, json: bool) -> None:
    """Update all projects of the node that are in a folder, and show what came of each."""
    if not folder.is_dir():
        raise UsageError(
            f"There is not a folder {folder}.", next_step="Name one that has projects."
        )
    with connect() as client:
        live = client.call(ListLiveHoles())
    found = _projects(folder) if live.holes else {}
    outcomes = [
        _updated(project, functions, found.get(project, ()), wish, json=json)
        for project, functions in sorted(_by_project(live).items())
    ]
    unjudged = {f"{one.project}/{one.function}": one.problem for one in live.problems}
    if json:
        print_json({"projects": outcomes, "not_judged": unjudged})
    else:
        _print(outcomes, unjudged)
    if unjudged or not all(one.is_well for one in outcomes):
        raise typer.Exit(1)


def _by_project(live: LiveHoles) -> Mapping[str, Mapping[str, set[str]]]:
    """Return ids of holes by function, and these by project."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in live.holes:
        found[one.project][one.function].add(one.hole.id)
    return found


def _projects(folder: Path) -> dict[str, list[Path]]:
    """Return the manifests below a folder by the name of their project, which others may share."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in _manifests(folder):
        try:
            found[Workspace(path, ()).project.name].append(path)
        except CasemateError as error:
            note(f"{path} is passed over: {error.message}", YELLOW)
    return found


def _manifests(folder: Path) -> Iterator[Path]:
    base = len(folder.resolve().parts)
    for looked, (place, folders, names) in enumerate(os.walk(folder.resolve())):
        if looked >= MAX_FOLDERS:
            raise UsageError(
                f"{folder} has more than {MAX_FOLDERS} folders.",
                next_step="Name a folder with fewer, such as that of the projects.",
            )
        if len(Path(place).parts) - base >= MAX_DEPTH:
            folders.clear()
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in _PASSED)
        if MANIFEST_NAME in names:
            yield Path(place) / MANIFEST_NAME


def _updated(
    project: str,
    holes: Mapping[str, set[str]],
    manifests: Sequence[Path],
    wish: Wish,
    *,
    json: bool,
) -> Outcome:
    ids = tuple(sorted(set().union(*holes.values())))
    about: dict[str, Any] = {"project": project, "functions": tuple(sorted(holes)), "holes": ids}
    if len(manifests) != 1:
        detail = "; ".join(str(path.parent) for path in manifests)
        result = "failed" if manifests else "no-folder"
        detail = f"there is more than one folder of it: {detail}" if detail else ""
        return Outcome(**about, folder=None, result=result, detail=detail)
    (path,) = manifests
    if not json:
        print_line(f"{project}  {path.parent}", BOLD)
    try:
        done = _one(Workspace(path, sorted(holes)), wish, json=json)
    except CasemateError as error:
        detail = error.message
        return Outcome(**about, folder=str(path.parent), result="failed", detail=detail)
    result, detail = _result(done, wish)
    told = document(done.updates, done.written, done.replayed, done.tried)
    return Outcome(**about, folder=str(path.parent), result=result, detail=detail, done=told)


def _one(workspace: Workspace, wish: Wish, *, json: bool) -> Updated:
    locks = ProjectLocks(workspace)
    updates = locks.work_out(newest=wish.newest)
    if not json:
        for each in updates:
            print_update(each)
    return locks.apply(wish) if wish.apply else Updated(updates)


def _result(done: Updated, wish: Wish) -> tuple[str, str]:
    """Return in a word and in more what came of an update."""
    stays = ", ".join(each.id for one in done.updates for each in one.plan.uncleared)
    if not wish.apply and done.clearable:
        return "would-clear", f"vulnerabilities: {done.clearable}"
    for bad in (Result.GONE_BACK, Result.OVERTAKEN, Result.UNDECIDED):
        named = [f"{one.function}: {one.reason}" for one in done.tried if one.result is bad]
        if named:
            return bad.value, "; ".join(named)
    if stays:
        return "stays", stays
    if done.tried:
        return "promoted", ", ".join(f"{one.function} {one.version}" for one in done.tried)
    if done.written:
        return "cleared", f"{', '.join(done.written)}; not deployed"
    return "stays", "the lock here has none of these vulnerabilities: casemate deploy"


def _print(outcomes: Sequence[Outcome], unjudged: Mapping[str, str]) -> None:
    print_table(
        ("project", "functions", "vulnerabilities", "result", "detail"),
        [
            (
                one.project,
                ", ".join(one.functions),
                ", ".join(one.holes),
                one.result.replace("-", " "),
                one.detail,
            )
            for one in outcomes
        ],
        below=("functions", "vulnerabilities", "detail"),
        empty="No function of the node has known vulnerabilities.",
    )
    for name, problem in unjudged.items():
        note(f"{name} could not be judged: {problem}", YELLOW)
