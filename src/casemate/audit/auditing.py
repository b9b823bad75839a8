"""The audit: find manifests, import them, ask every rule, leave out what is accepted."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from casemate.audit.accepting import Acceptance, Baseline
from casemate.audit.code.reading import Code
from casemate.audit.documents import DocumentError, read_documents
from casemate.audit.finding import Finding, Report, followed, numbered, together
from casemate.audit.importers.all import IMPORTERS, applications_of_code
from casemate.audit.importers.aws.data import DataMissingError
from casemate.audit.importers.kubernetes import NAMES_KIND
from casemate.audit.importers.port import Importer, Source
from casemate.audit.limits import MAX_FINDINGS
from casemate.audit.model import Application, Place, Platform
from casemate.audit.notes import FAULTS
from casemate.audit.past import Past
from casemate.audit.paths import paths_of
from casemate.audit.privileges import Privileges
from casemate.audit.rule import Rule, Subject
from casemate.audit.rules import granted, history, policies
from casemate.audit.rules.all import RULES
from casemate.audit.rules.privileges import found_by
from casemate.audit.shortening import shortened
from casemate.audit.workspace import Workspace
from casemate.model.errors import CasemateError

_TEMPLATES = ("yaml", "yml", "json", "template", "toml")
_SIGNS = (
    *("AWS::", "planned_values", "resource_changes", "root_module", "functions:", '"functions"'),
    *("serving.knative.dev", "eventing.knative.dev", "messaging.knative.dev", "specVersion"),
)
_BY_PAST = frozenset(r.id for r in (*granted.RULES, *history.RULES, *policies.RULES))
"""Rules that look at what has changed by themselves."""
_CALLED = ("serverless", "template", "stack")
"""What the manifests of the Serverless Framework, SAM and OpenFaaS are mostly called."""
_ALLOCATIONS = 50_000
"""Between two looks for garbage; Python's own 700 take an eighth of an audit's time."""


class NothingToAuditError(CasemateError):
    """Nothing there could be audited."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit is asked for."""

    only: tuple[str, ...] = ()
    """Rules by id; none means all."""
    without: tuple[str, ...] = ()
    files: frozenset[str] | None = None
    """Only findings in these files; None means in all."""
    today: str = ""
    """The date, as `2026-11-27`, by which exceptions end."""
    baseline: Baseline | None = None
    commits: int = 0
    """How many of the newest commits are searched for secrets."""
    since: str | None = None
    """A revision: what came after it is searched, and compared with it."""


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Look for garbage more seldom: syntax is kept to the end, and each look goes through it."""
    before = gc.get_threshold()
    if before[0]:  # else nothing is looked for at all
        gc.set_threshold(max(before[0], _ALLOCATIONS), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def audit(path: Path, options: Options | None = None) -> Report:
    """Return what is wrong at a path. Raises NothingToAuditError if nothing could be read."""
    with collecting_seldom():
        return _audited(path, options)


def _audited(path: Path, options: Options | None) -> Report:
    started = time.monotonic()
    options = options or Options()
    if not options.today:
        options = msgspec.structs.replace(options, today=time.strftime("%Y-%m-%d"))
    if not path.exists():
        raise NothingToAuditError(f"{path} does not exist.")
    workspace = Workspace(path)
    applications = list(applications_of(workspace))
    if not applications:
        noted = [f"{each.place}: {each.what}" for each in workspace.notes[:3]]
        reasons = "; ".join(noted or itertools.islice(_unreadable(workspace), 3))
        raise NothingToAuditError(
            f"Nothing in {path} could be audited{': ' + reasons if reasons else '.'}",
            next_step="Name the folder of an application, or its template.",
        )
    rules = chosen(options)
    code = Code(workspace)
    past = Past(workspace, commits=options.commits, since=options.since)
    found = list(_findings(applications, rules, workspace, code, options.today, past))
    acceptance = Acceptance(workspace, options.today, options.baseline)
    kept, accepted = acceptance.split(numbered(followed(_sorted(found), code.commands)))
    if options.files is not None:
        kept = [f for f in kept if f.place.file in options.files or f.rule in _BY_PAST]
    privileges = tuple(_privileges(applications, workspace, code))
    notes = (*workspace.notes, *(note for each in applications for note in each.unresolved))
    return Report(
        root=str(path),
        applications=tuple((a.name, a.importer, len(a.functions)) for a in applications),
        findings=tuple(together(kept)),
        accepted=tuple(accepted),
        unresolved=tuple(sorted(set(notes))),
        privileges=privileges,
        paths=tuple(paths_of(applications)),
        files=len(workspace.files),
        functions=sum(len(each.functions) for each in applications),
        rules=len(rules),
        seconds=round(time.monotonic() - started, 3),
    )


def _privileges(
    applications: Iterable[Application], workspace: Workspace, code: Code
) -> Iterator[Privileges]:
    """Yield what functions need beside what they are granted. A fault is noted."""
    for application in applications:
        try:
            yield from found_by(Subject(application, workspace, code))
        except FAULTS as error:
            what = f"rights could not be compared here: {type(error).__name__}"
            workspace.notes.say(application.place, what)


def chosen(options: Options) -> Sequence[Rule]:
    """Return the rules that are asked for."""
    known = {rule.id for rule in RULES}
    for name in (*options.only, *options.without):
        if name not in known:
            raise CasemateError(
                f"There is no rule {name[:64]!r}.", next_step="See docs/reference/audit-rules.md."
            )
    return [
        rule
        for rule in RULES
        if (not options.only or rule.id in options.only) and rule.id not in options.without
    ]


def applications_of(workspace: Workspace) -> Iterator[Application]:
    """Yield the applications of a workspace; where there is none, its code alone."""
    read, inner = _recognised(workspace)
    found = False
    for importer, source in read:
        if source.file in inner:
            continue
        for application in _imported(importer, source, workspace):
            # What code runs in containers is not told by their manifests, nor by what leads there.
            leads = application.platform is Platform.KNATIVE and not application.functions
            found = found or not (leads or application.platform is Platform.KUBERNETES)
            yield shortened(application)
    yield from applications_of_code(workspace, alone=not found)


def _recognised(workspace: Workspace) -> tuple[list[tuple[Importer, Source]], set[str]]:
    """Return what is read by which importer, and the files that are brought in by others."""
    found: dict[tuple[str, str], tuple[Importer, str, list[Any]]] = {}
    brings: dict[str, set[str]] = {}
    for source in _sources(workspace):
        by = [each for each in IMPORTERS if each.recognises(source)]
        for importer in (*by[:1], *(each for each in by[1:] if each.by_folder)):
            place = source.file.rpartition("/")[0] if importer.by_folder else source.file
            known = found.setdefault((importer.name, place), (importer, source.file, []))
            known[2].extend(source.documents)
            brings.setdefault(source.file, set()).update(importer.inner(source, workspace))
    read = [(importer, Source(file, tuple(all_))) for importer, file, all_ in found.values()]
    return read, _brought_in(brings)


def _brought_in(brings: Mapping[str, set[str]]) -> set[str]:
    """Return the files that are read with others. In a ring that nothing leads to, none is."""
    inner = {name for file, names in brings.items() for name in names if name != file}
    reached, waiting = set[str](), [file for file in brings if file not in inner]
    while waiting:
        new = brings.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return inner & reached


def _imported(importer: Importer, source: Source, workspace: Workspace) -> Iterator[Application]:
    """Yield what an importer makes of a file; one that fails is noted, the others go on."""
    try:
        yield from importer.read(source, workspace)
    except DataMissingError:
        raise
    except (CasemateError, RecursionError) as error:
        what = error.message if isinstance(error, CasemateError) else "it is nested too deeply"
        workspace.note(source.file, what)


def _sources(workspace: Workspace) -> Iterator[Source]:
    for name in workspace.files:
        last = name.rpartition("/")[2]
        if workspace.single is not None and name != workspace.single:
            continue
        if last.rpartition(".")[2] not in _TEMPLATES or last in (
            "package-lock.json",
            "package.json",
        ):
            continue
        if last.endswith(".toml") and last != "casemate.toml":
            continue
        text = workspace.template(name)
        if text is None or not (last == "casemate.toml" or _may_be_manifest(text)):
            continue
        if last == "casemate.toml":
            yield Source(name, ())
            continue
        try:
            documents, notes = read_documents(text, name)
        except DocumentError as error:
            workspace.note(name, error.message, error.line)
            continue
        for line, column, what in notes:
            workspace.note(name, what, line, column)
        yield Source(name, tuple(documents))


def _unreadable(workspace: Workspace) -> Iterator[str]:
    """Yield why files cannot be read that are called as manifests are, and look like none."""
    for name in workspace.files:
        last = name.rpartition("/")[2]
        if last.rpartition(".")[2] not in _TEMPLATES:
            continue
        text = workspace.template(name) if last.startswith(_CALLED) or workspace.single else None
        try:
            if text is not None:
                read_documents(text, name)
        except DocumentError as error:
            yield f"{Place(name, error.line or 1)}: {error.message}"


def _may_be_manifest(text: str) -> bool:
    return any(sign in text for sign in _SIGNS) or NAMES_KIND.search(text) is not None


def _findings(
    applications: Iterable[Application],
    rules: Sequence[Rule],
    workspace: Workspace,
    code: Code,
    today: str,
    past: Past | None = None,
) -> Iterator[Finding]:
    seen: set[tuple[str, Place, str]] = set()
    for application in applications:
        subject = Subject(application, workspace, code, today, past)
        for rule in rules:
            try:
                for finding in rule.findings(subject):
                    key = (finding.rule, finding.place, finding.text)
                    if key not in seen:
                        seen.add(key)
                        yield finding
                    if len(seen) >= MAX_FINDINGS:
                        workspace.note(
                            ".", f"more than {MAX_FINDINGS} findings: the rest is not reported"
                        )
                        return
            except FAULTS as error:
                # A fault of one rule on a file that nobody thought of must not hide all others.
                what = f"the rule {rule.id} failed here: {type(error).__name__}"
                workspace.notes.say(application.place, what)


def _sorted(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda f: (-f.severity.rank, f.place, f.rule, f.text))
