"""Names of buckets, tables and queues as they are given on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from casemate.cli.errors import UsageError
from casemate.cli.names import MANIFEST_NAME, MAX_MANIFEST_BYTES, find_manifest
from casemate.decoding import toml_of
from casemate.model.function import NAME_PATTERN

_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")


class ResourceName(NamedTuple):
    """A resource on a node."""

    project: str
    name: str

    def __str__(self) -> str:
        """Return the name as it is written."""
        return f"{self.project}/{self.name}"


def resolve_resource(kind: str, text: str) -> ResourceName:
    """Return the resource that `text` names: PROJECT/NAME, or NAME inside a project's folder."""
    project, slash, name = text.rpartition("/")
    resolved = ResourceName(project if slash else project_or_here(None), name)
    _check("project", resolved.project)
    _check(kind, resolved.name)
    return resolved


def project_or_here(project: str | None) -> str:
    """Return the project that was named, or that of the folder around the working directory."""
    if project is None:
        project = _project_here()
    _check("project", project)
    return project


def project_of_folder() -> str | None:
    """Return the project of the folder around the working directory; None: it has none.

    For commands that do without: a manifest that is being edited, and cannot be read, stops none.
    """
    try:
        return project_or_here(None)
    except UsageError:
        return None


def project_alone(further: str) -> Callable[[str | None], str]:
    """Return what reads a project as `project_or_here` does, for a command that lists in it.

    Who names something in it is told of the command that takes that: `further`.
    """

    def read(text: str | None) -> str:
        project, slash, name = (text or "").partition("/")
        if slash and _NAME.match(project) is not None and _NAME.match(name) is not None:
            raise UsageError(
                f"{text!r} is something in a project, expected the project.",
                next_step=f"`{further} {text}`, or name the project alone: {project}",
            )
        return project_or_here(text)

    return read


def _project_here() -> str:
    path = find_manifest()
    if path is None:
        raise UsageError(
            f"It is not said which project, and there is no {MANIFEST_NAME} here.",
            next_step="Name the project, or go into its folder.",
        )
    try:
        with path.open("rb") as file:
            text = file.read(MAX_MANIFEST_BYTES).decode()
        return str(toml_of(text)["project"]["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} does not say the project's name: {error}.",
            next_step="Fix it, or name the project.",
        ) from error


def _next_step(what: str, name: str) -> str:
    project = name.partition("/")[0]
    if what != "project":
        return f"Write it as in the manifest, such as shop/my-{what}, or my-{what} in its folder."
    if _NAME.match(project) is not None:
        return f"Name the project alone: {project}"
    return "Write it as below [project] in casemate.toml, such as shop."


def _check(what: str, name: str) -> None:
    if _NAME.match(name) is None:
        raise UsageError(
            f"{name!r} is not the name of a {what}: expected lower-case letters, digits and `-`, "
            "at most 63, a letter first.",
            next_step=_next_step(what, name),
        )
