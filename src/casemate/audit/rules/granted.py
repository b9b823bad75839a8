"""A rule about manifests of Casemate: what functions are granted beyond a revision.

The manifest of the revision is loaded as it was then, and compared as a deploy compares it with
the live version: exactly, since a grant is a list of names, actions and prefixes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from casemate.audit.finding import Severity
from casemate.audit.model import Place, Platform
from casemate.audit.rule import Hit, Risk, Subject, entries
from casemate.audit.rules.examples import project
from casemate.manifest import MANIFEST_NAME, ManifestError, load
from casemate.model.errors import CasemateError
from casemate.model.grant import GrantKind

if TYPE_CHECKING:
    from casemate.model.function import FunctionSpec, Project
    from casemate.model.grant import Grant
    from casemate.model.granted import CompiledGrants


def _widened(subject: Subject) -> Iterator[Hit]:
    application, workspace = subject.application, subject.workspace
    file = application.place.file
    if subject.past is None or application.platform is not Platform.CASEMATE:
        return
    folder = file.removesuffix(MANIFEST_NAME)
    try:
        before = subject.past.before(lambda name: name.startswith(folder))
        if before is None or before.get(file) == workspace.template(file):
            return
        old = _loaded({name.removeprefix(folder): text for name, text in before.items()})
        new = load(workspace.root / file)
    except CasemateError as error:
        said = " ".join(error.message.split())[:300]
        what = f"grants are not compared with the revision: {said}"
        workspace.note(file, what)
        return
    for spec in new.functions:
        found = application.function(spec.name)
        place = found.place if found is not None else Place(file)
        for text, grant in _wider(new, old.function(spec.name) if old is not None else None, spec):
            yield Hit(place=place, text=text, subject=f"{spec.name} {grant.text}", function=found)


def _loaded(texts: Mapping[str, str]) -> Project | None:
    """Return the project that files were; None if there was none."""
    if MANIFEST_NAME not in texts:
        return None
    with tempfile.TemporaryDirectory() as made:
        for name, text in texts.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or ".git" in path.parts:
                continue  # a tree of git may hold any name
            target = Path(made, path)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, errors="surrogateescape")
            except OSError:  # a name that no file system takes, or a file where a folder has to be
                continue
        try:
            return load(Path(made, MANIFEST_NAME))
        except ManifestError as error:
            raise CasemateError(error.message.replace(f"{made}/", "")) from error


def _wider(
    manifest: Project, live: FunctionSpec | None, spec: FunctionSpec
) -> Iterator[tuple[str, Grant]]:
    """Yield each grant that allows what the function might not, with a use that shows it."""
    from casemate.admission.grants import describe, spec_difference
    from casemate.model.function import named_resources
    from casemate.model.granted import CompiledGrants

    before = CompiledGrants(named_resources(live) if live is not None else ())
    since = "and was not there at the revision" if live is None else "more than at the revision"
    for grant in spec_difference(live, spec).widening:
        use = _use(before, grant)
        yield f"{manifest.name}/{spec.name} is granted {since}: {describe(grant)}; {use}", grant


def _use(before: CompiledGrants, grant: Grant) -> str:
    """Return a use that is granted now and was not."""
    name = grant.name
    if grant.kind is GrantKind.EGRESS:
        name = name.replace("*", "any", 1)
    for action in grant.actions:
        for prefix in grant.prefixes or ("",):
            if before.find(grant.kind, name, action, prefix) is None:
                key = f', key "{prefix}any"' if grant.kind is GrantKind.BUCKET else ""
                return f"such as {grant.kind.value}:{action} on {name}{key}"
    return f"such as {grant.kind.value}:{grant.actions[0]} on {name} in another way than before"


_rule = entries(Risk.PERMISSIONS, "SAS-05", cwe=269, attack="T1098.003")

RULES = (
    _rule(
        "POL-002",
        "Function is granted more than at the revision",
        Severity.LOW,
        "With --since: a deploy will stop until this is approved. This finding shows it to "
        "reviewers beforehand.",
        "Grant what the code needs: `casemate audit --privileges` prints it. If it is "
        "intended, have it reviewed.",
        _widened,
        {},
        project(),
    ),
)
