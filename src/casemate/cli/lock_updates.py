"""One project's locks, updated: worked out, tried out on a copy, written, and brought live."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from casemate.cli import lock_trial
from casemate.cli.building import Workspace
from casemate.cli.canary import Canary, Pair
from casemate.cli.errors import CommandError
from casemate.cli.index_logins import lender
from casemate.cli.replaying import Replayed, require_alike
from casemate.cli.terminal import YELLOW, note, progress
from casemate.cli.watching import Result, Tried

if TYPE_CHECKING:
    from casemate.build import Interpreter
    from casemate.build.bundle import BuiltBundle
    from casemate.model.function import FunctionSpec
    from casemate.repair import LockUpdate


class Wish(NamedTuple):
    """What is to be done with the locks of a project."""

    newest: bool
    """Everything as new as it may be; else what clears known holes."""
    apply: bool
    test: str | None
    replay: bool
    canary: Canary | None
    """How it goes live; None: not by this."""


class Updated(NamedTuple):
    """What came of it."""

    updates: Sequence[LockUpdate]
    replayed: Sequence[Replayed] = ()
    written: Sequence[str] = ()
    tried: Sequence[Tried] = ()

    @property
    def left(self) -> int:
        """Holes that stay open."""
        return sum(len(each.plan.uncleared) for each in self.updates)

    @property
    def clearable(self) -> int:
        """Holes that the updates clear."""
        return sum(len(one.clears) for each in self.updates for one in each.plan.changes)

    @property
    def all_live(self) -> bool:
        """Whether whatever was tried was promoted."""
        return all(one.result is Result.PROMOTED for one in self.tried)


class _Job(NamedTuple):
    """One lock: a requirements file for one version of Python, and the functions that have it."""

    requirements: str
    interpreter: Interpreter
    specs: list[FunctionSpec]


class ProjectLocks:
    """The locks of the functions that a workspace has chosen."""

    def __init__(self, workspace: Workspace) -> None:
        """Find them. A lock is changed for all that have it, whichever were chosen."""
        chosen = {spec.requirements for spec in workspace.chosen if spec.requirements is not None}
        workspace.chosen = [s for s in workspace.project.functions if s.requirements in chosen]
        self._workspace = workspace
        self._jobs = list(_jobs(workspace))
        self.updates: list[LockUpdate] = []
        """What `work_out` found."""

    def __bool__(self) -> bool:
        """Tell whether there is any lock."""
        return bool(self._jobs)

    def work_out(self, *, newest: bool) -> Sequence[LockUpdate]:
        """Find what would change, and keep it. Raises CommandError without advisories."""
        from casemate.advisories import KnownHoles, default_place
        from casemate.build.bundle import default_cache
        from casemate.repair import KnownFindings, Update

        place = default_place(os.environ)
        _require_advisories()
        with KnownHoles(place) as known, KnownFindings(place) as holes:
            for job in self._jobs:
                with progress(f"Updating {job.requirements}") as step:
                    update = Update(
                        root=self._workspace.root,
                        interpreter=job.interpreter,
                        cache=default_cache(os.environ).absolute(),
                        environ=dict(os.environ),
                        known=known,
                        holes=holes,
                        lend=lender(self._workspace.project.name),
                        tell=step.update,
                    )
                    self.updates.append(update.of(job.requirements, newest=newest))
        return self.updates

    def apply(self, wish: Wish) -> Updated:
        """Try out what was worked out on a copy, then write it, and bring it live if wished."""
        from casemate.repair import write

        updates = self.updates
        if not any(each.after for each in updates):
            return Updated(updates)
        _require_ours(updates)
        workspace, root = self._workspace, self._workspace.root
        changed = [job for job, each in zip(self._jobs, updates, strict=True) if each.after]
        specs = [spec for job in changed for spec in job.specs]
        replayed: Sequence[Replayed] = ()
        with lock_trial.project_copy(root) as copy:
            write(copy, updates)
            built = lock_trial.built_anew(copy / workspace.path.name, specs)
            _test(copy, wish.test or lock_trial.default_test(root), changed, built)
            if not wish.replay and wish.canary is None:
                return Updated(updates, written=write(root, updates))
            workspace.chosen = specs
            old = workspace.build(None, relock=False)
            pairs = list(map(Pair, map(workspace.name_of, specs), old, built))
            if wish.replay:
                replayed = require_alike(pairs)
            if wish.canary is None:
                return Updated(updates, replayed, write(root, updates))
            done = wish.canary.bring_live(pairs, lambda: write(root, updates))
            if not done[0]:
                note("The files of the project stay as they were.", YELLOW)
            return Updated(updates, replayed, *done)


def _test(
    copy: Path, command: str | None, jobs: Sequence[_Job], built: Sequence[BuiltBundle]
) -> None:
    if command is None:
        note("There are no tests: the functions are built, and not called.", YELLOW)
        return
    for one in _of_each_lock(jobs, built):
        lock_trial.run_tests(copy, one, command)


def _of_each_lock(jobs: Sequence[_Job], built: Sequence[BuiltBundle]) -> Iterator[BuiltBundle]:
    """Yield one bundle for each lock: tests are of the project, not of each function."""
    names = {job.specs[0].name for job in jobs}
    yield from (one for one in built if one.manifest.function.name in names)


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


def _require_advisories() -> None:
    """Refuse to say that nothing was found where nothing could be looked up."""
    from casemate.advisories import Ecosystem, default_place, look

    # Locks are of Python alone: what is known of npm says nothing about them.
    standing = look(default_place(os.environ), time.time(), (Ecosystem.PYPI,))
    if standing.problems:
        raise CommandError(
            f"Known vulnerabilities cannot be listed: {standing.problems[0].text}",
            next_step=standing.next_step or "Import advisories: casemate advisories import SOURCE",
        )


def _require_ours(updates: Sequence[LockUpdate]) -> None:
    foreign = [each for each in updates if each.command]
    if foreign:
        raise CommandError(
            f"{foreign[0].requirements} is uv's own lock, which Casemate does not write.",
            next_step=f"Change the requirements as shown, if any are, then: {foreign[0].command}",
        )
