"""Secrets that no function is granted: told when they are set, as the name may be mistyped."""

from __future__ import annotations

from collections.abc import Iterable

from casemate.cli.client import NodeClient
from casemate.cli.unset_secrets import wanted_secrets
from casemate.model.deployment import DeployedFunction
from casemate.near_names import near, question
from casemate.operations.functions import ListFunctions

_MAX_SHOWN = 8
_MAX_COMPARED = 1000


def ungranted_notes(client: NodeClient, project: str, names: Iterable[str]) -> list[str]:
    """Return what is to be said of those secrets of a project that no function is to use.

    Nothing is said to those who see no functions: they could not tell.
    """
    if not (asked := list(names)):
        return []
    listing = ListFunctions()
    response = client.request(listing)
    functions = client.answer(listing, response).functions if response.is_success else ()
    if not functions:
        return []
    wanted = {(function.project, name) for function in functions for name in _wanted_by(function)}
    projects = {function.project for function in functions}
    missing = [name for name in asked if (project, name) not in wanted]
    notes = [_note(project, name, wanted, projects) for name in missing[:_MAX_SHOWN]]
    more = len(missing) - len(notes)
    return [*notes, f"The same is so of {more} more."] if more else notes


def _wanted_by(function: DeployedFunction) -> set[str]:
    """Return the secrets that versions want which are called by some alias."""
    called = {target.version for alias in function.aliases for target in alias.targets}
    specs = [version.spec for version in function.versions if version.number in called]
    return set().union(*map(wanted_secrets, specs))


def _note(project: str, name: str, wanted: set[tuple[str, str]], projects: set[str]) -> str:
    meant = _meant(project, name, wanted, projects)
    asked = question(meant) or "."
    mistyped = f" If so, `casemate secrets rm {project}/{name}`." if meant else ""
    return (
        f"No function that you may see is granted the secret {project}/{name}{asked}{mistyped}\n"
        f'Next: Under [function.NAME.grants] in casemate.toml: secrets = ["{name}"], and deploy '
        "(with --approve if it stands there). What is set for alerts, exports or a package index "
        "needs no grant."
    )


def _meant(project: str, name: str, wanted: set[tuple[str, str]], there: set[str]) -> str | None:
    beside = {other: f"{project}/{other}" for found, other in wanted if found == project}
    same = {found: f"{found}/{name}" for found, other in wanted if other == name}
    # What nobody wants yet may still be meant for another project than one that is not there.
    projects = {} if project in there else {found: f"{found}/{name}" for found in there}
    for word, known in ((name, beside), (project, same), (project, projects)):
        compared = {each: known[each] for each in sorted(known)[:_MAX_COMPARED]}
        if (found := near(word, compared)) is not None:
            return found
    return None
