"""`casemate deps`: which packages functions need, and which only lie there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from casemate.cli import lock_trial, prompts, updating
from casemate.cli.building import Workspace
from casemate.cli.credentials import choose
from casemate.cli.errors import CommandError
from casemate.cli.evidence import evidence_of
from casemate.cli.import_times import NOT_MEASURED, ImportTimes, import_times
from casemate.cli.names import FunctionName
from casemate.cli.options import JsonOption, ManifestOption, YesOption, command, new_app
from casemate.cli.pruning import Pruning
from casemate.cli.replaying import Replayed, require_alike
from casemate.cli.terminal import (
    DIM,
    GREEN,
    YELLOW,
    note,
    print_json,
    print_line,
    print_table,
    progress,
)
from casemate.cli.text import size
from casemate.cli.update_report import print_replayed
from casemate.model.errors import CasemateError

if TYPE_CHECKING:
    from casemate.advisories import Finding
    from casemate.build.bundle import BuiltBundle
    from casemate.model.evidence import Evidence
    from casemate.model.licence import PackageLicence
    from casemate.sbom.needs import Need, Needs
    from casemate.sbom.symbols import Found

app = new_app("See which packages functions need, remove unused ones, clear known vulnerabilities.")
command(app, examples=updating.EXAMPLES)(updating.update)

LiveOption = Annotated[
    bool,
    typer.Option("--live", help="Also ask the node which packages it has seen loaded."),
]
FunctionsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="FUNCTION", help="Functions to take. Default: all of the project."),
]


class _Looked(NamedTuple):
    """What is known of one function's packages."""

    name: FunctionName
    built: BuiltBundle
    needs: Needs
    evidence: Evidence | None
    holes: dict[str, list[str]] | None
    """Ids of advisories by package; None where they cannot be relied upon."""
    reach: dict[str, Found]
    """By id, where the advisory names functions: whether the code comes to these."""
    licences: tuple[PackageLicence, ...] = ()
    times: ImportTimes = NOT_MEASURED

    def imported(self, package: str) -> str:
        """Return how long a package's own modules take when the handler is imported."""
        if self.times.why:
            return "?"
        took = self.times.packages.get(package)
        return "-" if took is None else f"{took / 1000:.1f} ms"

    def licence(self, package: str) -> str:
        """Return what a package states of its licence on one line."""
        found = [one for one in self.licences if one.package == package]
        return " and ".join(one.expression or f"unknown ({one.stated})" for one in found)

    def told(self, package: str) -> str:
        """Return the holes of a package on one line."""
        if self.holes is None:
            return "?"
        found = [
            f"{id} ({self.reach[id].reach.value})" if id in self.reach else id
            for id in self.holes.get(package, ())
        ]
        return ", ".join(found) or "none"


@command(app, examples="$ casemate deps ls\n$ casemate deps ls thumbnail --live --json")
def ls(
    functions: FunctionsArgument = None,
    manifest: ManifestOption = None,
    live: LiveOption = False,
    json: JsonOption = False,
) -> None:
    """List packages with their size, known vulnerabilities, licences, and who needs them.

    `imported`: the function's code imports it. `needed`: a needed package declares it. `optional`:
    its name is in needed code, so it may be imported. `unused`: none of these. If the advisory of a
    vulnerability names functions, the list says whether the code reaches them: `reached`,
    `unreached`, `unknown`. With --live it also says what the node has seen loaded: when the handler
    was imported, and by one call in sixteen.

    `import` is how long a package's own modules take when the handler is imported: that is saved
    without it. It is measured once, in a sandbox without network and files.
    """
    workspace = Workspace(manifest, functions or ())
    looked = [_measured(one, workspace) for one in _look(workspace, live=live)]
    if json:
        print_json([_plain(one) for one in looked])
        return
    print_table(
        (
            *("function", "package", "version", "size", "import", "is"),
            *("by", "seen", "vulnerabilities", "licence"),
        ),
        [
            (
                str(one.name),
                need.name,
                need.version,
                size(need.size),
                one.imported(need.name),
                need.standing.value,
                ", ".join(need.by[:3]) + (" ..." if len(need.by) > 3 else ""),
                _seen(one.evidence, need),
                one.told(need.name),
                one.licence(need.name),
            )
            for one in looked
            for need in one.needs.packages
        ],
        below=("by", "vulnerabilities", "licence"),
        empty="There are no packages of others.",
    )
    _tell(looked)


def _tell(looked: Sequence[_Looked]) -> None:
    for one in looked:
        if one.needs.dynamic:
            places = ", ".join(one.needs.dynamic[:5])
            note(f"{one.name} imports what is only known when it runs: {places}", YELLOW)
        for path in one.needs.unread[:5]:
            note(f"{one.name}: {path} could not be read as Python", YELLOW)
        if one.times.why:
            note(f"{one.name}: how long its import takes is not known: {one.times.why}", YELLOW)
        idle = [need for need in one.needs.packages if need.standing.value == "unused"]
        if idle:
            total = size(sum(need.size for need in idle))
            names = ", ".join(need.name for need in idle)
            note(f"{one.name}: {total} of nothing's need: {names}", DIM)
    if any(one.holes is None for one in looked):
        note("Holes are not known: import advisories (casemate advisories import).", DIM)


def _look(workspace: Workspace, *, live: bool) -> list[_Looked]:
    from casemate.sbom import bundle_licences
    from casemate.sbom.needs import needs

    found = []
    for built in list(workspace.build(None, relock=False)):
        name = workspace.name_of(built.manifest.function)
        seen = evidence_of(name, built.digest) if live else None
        listed = needs(built.path, built.manifest)
        judged = _judged(listed)
        reach = _reach(built, seen, judged or ())
        licences = bundle_licences(built.path, built.manifest)
        found.append(_Looked(name, built, listed, seen, _holes(judged), reach, licences))
    return found


def _measured(one: _Looked, workspace: Workspace) -> _Looked:
    """Add how long the handler's import takes, where it may import packages."""
    from casemate.sbom.needs import owners_of_modules

    if not one.needs.packages:
        return one
    (spec,) = (each for each in workspace.chosen if each.name == one.name.function)
    whose = owners_of_modules(one.built.path, one.built.manifest)
    with progress(f"Importing {one.name} in the sandbox"):
        return one._replace(times=import_times(spec, one.built, whose))


def _reach(
    built: BuiltBundle, seen: Evidence | None, judged: Sequence[Finding]
) -> dict[str, Found]:
    from casemate.sbom.symbols import reach_of

    named = {finding.id: finding.symbols for finding in judged}
    return reach_of(named, built.path, built.manifest, seen)


def _holes(judged: Sequence[Finding] | None) -> dict[str, list[str]] | None:
    if judged is None:
        return None
    found: dict[str, list[str]] = {}
    for finding in judged:
        found.setdefault(finding.package.name, []).append(finding.id)
    return found


def _judged(listed: Needs) -> Sequence[Finding] | None:
    """Return what advisories say; None where they cannot be relied upon."""
    from casemate.advisories import Ecosystem, Package, default_place, judge

    packages = [
        Package(ecosystem=Ecosystem.PYPI, name=need.name, version=need.version)
        for need in listed.packages
    ]
    try:
        judged = judge(packages, default_place(os.environ))
    except CasemateError:
        return None
    if judged.not_judged or judged.problems:
        return None
    return judged.findings


def _seen(evidence: Evidence | None, need: Need) -> str:
    seen = evidence.of(need.name) if evidence is not None else None
    if seen is None:
        return "-"
    return "import" if seen.at_import else "call" if seen.at_call else "never"


def _plain(one: _Looked) -> dict[str, object]:
    return {
        "function": str(one.name),
        "digest": one.built.digest,
        "packages": one.needs.packages,
        "dynamic": one.needs.dynamic,
        "unread": one.needs.unread,
        "evidence": one.evidence,
        "holes": one.holes,
        "reach": one.reach,
        "licences": one.licences,
        "import_us": None if one.times.why else one.times.packages,
    }


@command(
    app,
    examples='$ casemate deps prune thumbnail\n$ casemate deps prune --test "python -m pytest -q"',
)
def prune(
    functions: FunctionsArgument = None,
    manifest: ManifestOption = None,
    live: LiveOption = False,
    test: Annotated[
        str | None,
        typer.Option(
            "--test",
            metavar="COMMAND",
            help="What must pass in the sandbox without the packages. Default: pytest, if there "
            "are tests.",
        ),
    ] = None,
    replay: Annotated[
        bool | None,
        typer.Option(
            "--replay/--no-replay",
            help="Replay recorded events of the node with and without the packages; the answers "
            "must be the same. Done unless you are logged in to no node.",
            show_default=False,
        ),
    ] = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Remove requirements that nothing needs, once tests and recorded events pass without them.

    From a requirements.txt, it removes those that `casemate deps ls` calls unused in every function
    that has that file. On a copy of the project the functions are built without them, and the tests
    run in the sandbox with the remaining packages; recorded events are replayed there, too. Unless
    all goes well, the files stay as they were.
    """
    replays = _replays() if replay is None else replay
    workspace = Workspace(manifest, functions or ())
    chosen = {spec.requirements for spec in workspace.chosen if spec.requirements is not None}
    # What another function with the same file needs stays.
    workspace.chosen = [s for s in workspace.project.functions if s.requirements in chosen]
    looked = _look(workspace, live=live)
    command_line = test or lock_trial.default_test(workspace.root)
    if command_line is not None:
        lock_trial.arguments_of(command_line)  # what cannot be run is told before anything is built
    removed: dict[str, list[str]] = {}
    replayed: list[Replayed] = []
    for name in sorted(chosen):
        mine = [one for one in looked if one.built.manifest.function.name in _with(workspace, name)]
        unused = set.intersection(*({n.name for n in _idle(one)} for one in mine))
        pruning = Pruning.of(workspace.root, name, unused)
        if not pruning.removed:
            continue
        names = ", ".join(pruning.removed)
        prompts.confirm(f"Remove {names} from {name} if the tests pass?", yes=yes or json)
        if command_line is None:
            raise CommandError(
                "There are no tests to tell whether the functions work without these packages.",
                next_step='Give a command that does: --test "python -m pytest".',
            )
        replayed += _tried(workspace, pruning, mine, command_line, replay=replays)
        removed[name] = list(pruning.removed)
        if not json:
            print_replayed(replayed)
            print_line(f"{name}: removed {names}", GREEN)
            replayed.clear()
    if json:
        print_json({"removed": removed, "replayed": replayed})
    elif not removed:
        print_line("There is nothing to remove.")


def _replays() -> bool:
    """Tell whether there is a node whose recorded events can be done again, or say so."""
    if choose().key is not None:
        return True
    note("You are logged in to no node, so no recorded events are done again.", YELLOW)
    return False


def _tried(
    workspace: Workspace, pruning: Pruning, before: Sequence[_Looked], test: str, *, replay: bool
) -> list[Replayed]:
    """Write a file without the packages if its functions do without; else raise CommandError.

    With `replay` recorded events have to come to the same as before, too.
    """
    specs = [one.built.manifest.function for one in before]
    with lock_trial.project_copy(workspace.root) as copy:
        pruning.write_to(copy)
        after = lock_trial.built_anew(copy / workspace.path.name, specs)
        lock_trial.run_tests(copy, after[0], test, "without these packages")
        pairs = [(old.name, old.built, new) for old, new in zip(before, after, strict=True)]
        replayed = require_alike(pairs) if replay else []
        pruning.take_from(copy, workspace.root)
    return replayed


def _with(workspace: Workspace, requirements: str) -> set[str]:
    return {spec.name for spec in workspace.chosen if spec.requirements == requirements}


def _idle(one: _Looked) -> list[Need]:
    """Return packages that nothing needs. Where imports are not known, there are none."""
    if one.needs.unread:
        return []
    return [
        need
        for need in one.needs.packages
        if need.standing.value == "unused" and _seen(one.evidence, need) in ("-", "never")
    ]
