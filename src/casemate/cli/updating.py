"""`casemate deps update`: the smallest change of the locks that clears known holes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from casemate.cli import lock_trial
from casemate.cli.building import Workspace
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.options import JsonOption, ManifestOption
from casemate.cli.replaying import Replayed, require_alike
from casemate.cli.terminal import GREEN, YELLOW, note, print_json, print_line, progress
from casemate.cli.update_report import document, print_replayed, print_update

if TYPE_CHECKING:
    from casemate.build import Interpreter
    from casemate.build.bundle import BuiltBundle
    from casemate.model.function import FunctionSpec
    from casemate.repair import LockUpdate

EXAMPLES = (
    "$ casemate deps update\n"
    "$ casemate deps update thumbnail --apply\n"
    '$ casemate deps update --apply --test "pytest -q tests" --replay\n'
    "$ casemate deps update --all --json"
)


class _Job(NamedTuple):
    """One lock: a requirements file for one version of Python, and the functions that have it."""

    requirements: str
    interpreter: Interpreter
    specs: list[FunctionSpec]


def update(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[FUNCTION|PATH]",
            help="A function, or a project's folder; without it the whole project here.",
        ),
    ] = None,
    manifest: ManifestOption = None,
    security: Annotated[
        bool,
        typer.Option("--security", help="Only what clears known holes, which is the default."),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="The newest that rules and requirements allow.")
    ] = False,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Try it out on a copy, then write lock and requirements."),
    ] = False,
    test: Annotated[
        str | None,
        typer.Option(
            "--test",
            metavar="COMMAND",
            help="What has to pass in the sandbox before anything is written; else pytest, where "
            "there are tests. It begins with `python` or `pytest`.",
        ),
    ] = None,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay",
            help="Do recorded events of the node again on both, which have to answer alike.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find the smallest change of the locks that clears known holes, and what it costs.

    Fewest packages, then the smallest steps, those of others' dependencies included, among what
    may be installed. What cannot be cleared is named with the reason. Without --apply nothing is
    changed. With it the functions are built and tested with the new lock, on a copy of the
    project, in the sandbox without network; then each file is written at once, or none is. The exit
    code is 1 as long as holes are open: without --apply those that there are, with it what is left.
    """
    if security and everything:
        raise UsageError("--security and --all exclude each other.", next_step="Give one of them.")
    if (test is not None or replay) and not apply:
        raise UsageError("--test and --replay are for --apply.", next_step="Add --apply.")
    if test is not None:
        lock_trial.arguments_of(test)
    workspace = _workspace(manifest, what)
    jobs = list(_jobs(workspace))
    if not jobs:
        _none(json=json)
        return
    updates = _worked_out(workspace, jobs, newest=everything)
    if not json:
        for each in updates:
            print_update(each)
    replayed: list[Replayed] = []
    written: list[str] = []
    if apply and any(each.after for each in updates):
        _require_ours(updates)
        replayed, written = _applied(workspace, jobs, updates, test, replay=replay, json=json)
    if json:
        print_json(document(updates, written, replayed))
    _end(updates, written, apply=apply, json=json)


def _workspace(manifest: Path | None, what: str | None) -> Workspace:
    if what is not None and (Path(what) / "casemate.toml").is_file():
        return Workspace(Path(what) / "casemate.toml", ())
    workspace = Workspace(manifest, (what,) if what else ())
    chosen = {spec.requirements for spec in workspace.chosen if spec.requirements is not None}
    # A lock is changed for all that have it.
    workspace.chosen = [s for s in workspace.project.functions if s.requirements in chosen]
    return workspace


def _jobs(workspace: Workspace) -> Iterator[_Job]:
    from casemate.build import choose_interpreter, find_interpreters

    today = date.today()
    found = find_interpreters(today=today, environ=os.environ)
    jobs: dict[tuple[str, str], _Job] = {}
    for spec in workspace.chosen:
        if spec.requirements is None:
            continue
        interpreter, _ = choose_interpreter(found, spec.python, today=today)
        key = (spec.requirements, interpreter.minor)
        jobs.setdefault(key, _Job(spec.requirements, interpreter, [])).specs.append(spec)
    yield from jobs.values()


def _worked_out(workspace: Workspace, jobs: Sequence[_Job], *, newest: bool) -> list[LockUpdate]:
    from casemate.advisories import KnownHoles, default_place
    from casemate.build.bundle import default_cache
    from casemate.repair import KnownFindings, Update

    place = default_place(os.environ)
    _require_advisories()
    updates = []
    with KnownHoles(place) as known, KnownFindings(place) as holes:
        for job in jobs:
            with progress(f"Updating {job.requirements}") as step:
                update = Update(
                    root=workspace.root,
                    interpreter=job.interpreter,
                    cache=default_cache(os.environ).absolute(),
                    environ=dict(os.environ),
                    known=known,
                    holes=holes,
                    tell=step.update,
                )
                updates.append(update.of(job.requirements, newest=newest))
    return updates


def _require_advisories() -> None:
    """Refuse to say that nothing was found where nothing could be looked up."""
    from casemate.advisories import default_place, look

    standing = look(default_place(os.environ), time.time())
    if standing.problems:
        raise CommandError(
            f"Known holes cannot be told: {standing.problems[0].text}",
            next_step=standing.next_step or "Import advisories: casemate advisories import SOURCE",
        )


def _require_ours(updates: Sequence[LockUpdate]) -> None:
    foreign = [each for each in updates if each.command]
    if foreign:
        raise CommandError(
            f"{foreign[0].requirements} is uv's own lock, which Casemate does not write.",
            next_step=f"Change the requirements as shown, if any are, then: {foreign[0].command}",
        )


def _applied(
    workspace: Workspace,
    jobs: Sequence[_Job],
    updates: Sequence[LockUpdate],
    test: str | None,
    *,
    replay: bool,
    json: bool,
) -> tuple[list[Replayed], list[str]]:
    """Try updates out on a copy, then write them; return what was compared and what is written."""
    from casemate.repair import write

    changed = [job for job, each in zip(jobs, updates, strict=True) if each.after]
    specs = [spec for job in changed for spec in job.specs]
    command = test or lock_trial.default_test(workspace.root)
    replayed: list[Replayed] = []
    with lock_trial.project_copy(workspace.root) as copy:
        write(copy, updates)
        built = lock_trial.built_anew(copy / workspace.path.name, specs)
        if command is None:
            note("There are no tests: the functions are built, and not called.", YELLOW)
        else:
            for one in _of_each_lock(changed, built):
                lock_trial.run_tests(copy, one, command)
        if replay:
            workspace.chosen = specs
            old = workspace.build(None, relock=False)
            names = map(workspace.name_of, specs)
            replayed = require_alike(list(zip(names, old, built, strict=True)))
    if not json:
        print_replayed(replayed)
    return replayed, write(workspace.root, updates)


def _of_each_lock(jobs: Sequence[_Job], built: Sequence[BuiltBundle]) -> Iterator[BuiltBundle]:
    """Yield one bundle for each lock: tests are of the project, not of each function."""
    names = {job.specs[0].name for job in jobs}
    yield from (one for one in built if one.manifest.function.name in names)


def _none(*, json: bool) -> None:
    if json:
        print_json(document((), (), ()))
    else:
        print_line("There are no packages of others.")


def _end(updates: Sequence[LockUpdate], written: Sequence[str], *, apply: bool, json: bool) -> None:
    """Say what was written, and exit with 1 as long as holes are open."""
    if written and not json:
        print_line(f"Written: {', '.join(written)}", GREEN)
    left = sum(len(each.plan.uncleared) for each in updates)
    clearable = sum(len(one.clears) for each in updates for one in each.plan.changes)
    if not apply and clearable:
        if not json:
            note(
                f"{clearable} known hole(s) would be cleared: casemate deps update --apply", YELLOW
            )
        raise typer.Exit(1)
    if left:
        raise typer.Exit(1)
