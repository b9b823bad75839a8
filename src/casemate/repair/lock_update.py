"""The change of one lock of a project, worked out to the last byte; nothing is written yet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from casemate.build.errors import RequirementsFileError
from casemate.build.interpreters import Interpreter
from casemate.build.lock import lock_path, own_lock, present_lock
from casemate.build.requirements import (
    Kind,
    Requirements,
    project_of,
    read_requirements,
    with_files,
)
from casemate.build.resolving import Resolving
from casemate.build.uv_process import UvSession
from casemate.build.writing import write_together
from casemate.model.errors import ConflictError
from casemate.package_index import Known, Lend, nobody_lends, pins_of
from casemate.repair.holes import Holes, has
from casemate.repair.plan import Change, Plan
from casemate.repair.planning import NoSolutionError, Planner
from casemate.repair.price import Price, price_of
from casemate.repair.requirement_lines import RequirementLines
from casemate.repair.resolver import ProjectResolver


class LockUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one lock. Paths are relative to the project."""

    requirements: str
    python: str
    plan: Plan
    prices: dict[str, Price] = {}
    before: dict[str, str | None] = {}
    """Files that would be written, as they are; none where there is no such file."""
    after: dict[str, str] = {}
    """The same as they would be, in the order in which they are written: the lock comes last."""
    command: str = ""
    """What the tool that keeps the lock is told, where it is not ours to write."""


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to work out changes of a project's locks."""

    root: Path
    interpreter: Interpreter
    cache: Path
    environ: Mapping[str, str]
    known: Known
    holes: Holes
    tell: Callable[[str], None]
    lend: Lend = nobody_lends
    now: float | None = None

    def of(self, name: str, *, newest: bool) -> LockUpdate:
        """Return what becomes of the lock of a requirements file.

        Raises RequirementsFileError without a lock, NoSolutionError, and CasemateError for what an
        index does wrong or may not offer.
        """
        with tempfile.TemporaryDirectory(prefix="casemate-", ignore_cleanup_errors=True) as work:
            session = UvSession(
                interpreter=self.interpreter,
                work=Path(work),
                cache=self.cache / "uv",
                environ=self.environ,
                known=self.known,
                lend=self.lend,
                now=self.now,
            )
            given = read_requirements(self.root, name)
            text = _present(given, self.root, session)
            stated = project_of(given) if given.kind is Kind.UV_LOCK else given
            before = "" if given.kind is Kind.UV_LOCK else text
            with Resolving(stated, self.root, session, before=before) as resolving:
                return self._worked_out(given, stated, text, resolving, newest=newest)

    def _worked_out(
        self,
        given: Requirements,
        stated: Requirements,
        text: str,
        resolving: Resolving,
        *,
        newest: bool,
    ) -> LockUpdate:
        locked = {pin.package: pin.version for pin in pins_of(text)}
        lines = RequirementLines(stated)
        resolver = ProjectResolver(resolving, lines)
        self.tell(f"Looking for the smallest change of {len(locked)} package(s)")
        planner = Planner(resolver, self.holes, locked, lines.loosenable)
        plan = planner.newest() if newest else planner.security()
        update = LockUpdate(requirements=given.name, python=self.interpreter.minor, plan=plan)
        if not plan.changed:
            return update
        files = lines.rewritten({name: plan.versions[name] for name in plan.loosened})
        constraints = [f"{name}=={version}" for name, version in sorted(plan.versions.items())]
        resolved = resolving.locked(constraints, files=files)
        self._check(plan, resolved, locked)
        self.tell(f"Looking into {len(plan.changes)} package(s)")
        prices = _prices(plan.changes, text, resolved, resolving)
        update = msgspec.structs.replace(update, prices=prices)
        if given.kind is Kind.UV_LOCK:
            return msgspec.structs.replace(update, **self._for_uv(plan, stated, files))
        path = lock_path(self.root, stated.name, self.interpreter.minor)
        after = {each: new for each, new in files.items() if new != stated.files[each]}
        lock = path.relative_to(self.root.absolute()).as_posix()
        after[lock] = own_lock(with_files(stated, files), resolved)
        known = {**stated.files, lock: text}
        return msgspec.structs.replace(
            update, after=after, before={each: known[each] for each in after}
        )

    def _for_uv(
        self, plan: Plan, stated: Requirements, files: Mapping[str, str]
    ) -> dict[str, object]:
        """Return what is told uv of its own lock, and what has to be changed by hand before."""
        chosen = [
            f"--upgrade-package {each.package}=={each.new}" for each in plan.changes if each.new
        ]
        after = {each: new for each, new in files.items() if new != stated.files[each]}
        return {
            "command": f"uv lock {' '.join(chosen)}",
            "after": after,
            "before": {each: stated.files[each] for each in after},
        }

    def _check(self, plan: Plan, resolved: str, locked: Mapping[str, str]) -> None:
        """Hold what is to be written against the plan: nothing else may have come out of it."""
        found = {pin.package: pin.version for pin in pins_of(resolved)}
        left = {(each.package, id) for each in plan.uncleared for id in each.ids}
        for name, version in found.items():
            for hole in self.holes.of(name, version):
                old = name in locked and has(self.holes, name, locked[name], hole)
                if not old or all((name, id) not in left for id in hole.ids):
                    raise NoSolutionError(f"{name} {version} would still have {hole.id}.")
        if found != plan.versions:
            raise NoSolutionError(
                "The resolver chose other versions than a moment ago.",
                next_step="Is the index changing? Try again.",
            )


def write(root: Path, updates: Sequence[LockUpdate]) -> list[str]:
    """Write the files of updates, each at once or not at all; return their names.

    Raises ConflictError for one that was changed since it was read, or that two updates would
    change in two ways, and RequirementsFileError for one that cannot be written.
    """
    before: dict[str, str | None] = {}
    after: dict[str, str] = {}
    for update in updates:
        for name, text in update.after.items():
            if after.setdefault(name, text) != text:
                raise ConflictError(
                    f"{name} would have to be changed in two ways, for two versions of Python.",
                    next_step="Change it by hand, or use one version.",
                )
        before |= update.before
    for name, known in before.items():
        if _read(root / name) != known:
            raise ConflictError(
                f"{name} was changed meanwhile; nothing is written.", next_step="Try again."
            )
    ordered = sorted(after, key=lambda name: (name.endswith(".lock"), name))
    if not ordered:
        return []
    try:
        like = root / updates[0].requirements
        write_together({root / name: after[name] for name in ordered}, like=like)
    except OSError as error:
        raise RequirementsFileError(
            f"The files of the update cannot be written: {error.strerror}.",
            next_step="Make the folder writable.",
        ) from error
    return ordered


def _present(given: Requirements, root: Path, session: UvSession) -> str:
    if given.kind is not Kind.UV_LOCK and given.locked:
        raise RequirementsFileError(
            f"{given.name} is a lock of another tool, which does not say what it was made from.",
            next_step="Update it with that tool; casemate advisories check FILE says of what.",
        )
    text = present_lock(given, root, session)
    if text is None:
        raise RequirementsFileError(
            f"There is no lock that fits {given.name} as it is, for Python "
            f"{session.interpreter.minor}.",
            next_step="Run casemate build, which makes one.",
        )
    return text


def _prices(
    changes: Sequence[Change], before: str, after: str, resolving: Resolving
) -> dict[str, Price]:
    old = {pin.package: pin.hashes for pin in pins_of(before)}
    new = {pin.package: pin.hashes for pin in pins_of(after)}
    prices = {}
    with tempfile.TemporaryDirectory(prefix="casemate-") as folder:
        for number, change in enumerate(changes):
            name = change.package
            places = [Path(folder) / f"{number}-{which}" for which in ("old", "new")]
            for place in places:
                place.mkdir()
            was = resolving.wheel(name, old.get(name, frozenset()), places[0])
            now = resolving.wheel(name, new.get(name, frozenset()), places[1])
            missing = (change.old is not None and was is None) or (
                change.new is not None and now is None
            )
            price = price_of(name, was, now)
            # Without one of the two nothing can be compared: then nothing is said to be new.
            prices[name] = (
                msgspec.structs.replace(price, gains={}, whole=False) if missing else price
            )
    return prices


def _read(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except (OSError, ValueError):
        return None
