"""Names of functions as they are given on the command line."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from casemate.cli.errors import UsageError
from casemate.decoding import toml_of
from casemate.model.function import NAME_PATTERN

MANIFEST_NAME = "casemate.toml"
MAX_MANIFEST_BYTES = 1024 * 1024
_NAME = re.compile(NAME_PATTERN.removesuffix("$"))


class FunctionName(NamedTuple):
    """A function on a node."""

    project: str
    function: str
    qualifier: str | None = None
    """Alias or version behind `@`; None where none was given."""

    def __str__(self) -> str:
        """Return the name as it is written."""
        suffix = f"@{self.qualifier}" if self.qualifier else ""
        return f"{self.project}/{self.function}{suffix}"


def find_manifest() -> Path | None:
    """Return the nearest `casemate.toml` from the working directory upwards, or None.

    Raises UsageError for one that another user has put there: where everybody may write, such as
    /tmp, that is a project of theirs that whoever works below would build, or deploy as theirs.
    """
    folder = Path.cwd().resolve()
    for candidate in (folder, *folder.parents):
        path = candidate / MANIFEST_NAME
        if path.is_file():
            if _is_of_others(path, folder):
                raise UsageError(
                    f"{path}, which is the nearest {MANIFEST_NAME}, is another user's, or lies "
                    "where others may write.",
                    next_step=f"If it is meant, name it: --manifest {shlex.quote(str(path))}",
                )
            return path
    return None


def _is_of_others(path: Path, start: Path) -> bool:
    """Tell whether a manifest is neither one's own, nor root's, nor of who has the folder that one
    stands in, and lies above that or where everybody may write.

    Above, its folder has to be of one of these as well: whoever may move files there can have moved
    one of their manifests there, and has the code beside it. In /tmp they move none of others.
    """
    here = start.stat()
    known = {0, os.geteuid(), here.st_uid}
    is_known = path.lstat().st_uid in known
    if path.parent == start:
        return not is_known and bool(here.st_mode & stat.S_IWOTH)
    above = path.parent.stat()
    anybody_moves = above.st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH
    return not is_known or above.st_uid not in known or anybody_moves


def require_manifest(given: Path | None) -> Path:
    """Return the manifest to work on: `given` (a file or its folder), or the nearest one."""
    if given is not None:
        path = given / MANIFEST_NAME if given.is_dir() else given
        if not path.is_file():
            raise UsageError(
                f"There is no file {path}.",
                next_step="Name a project's casemate.toml, or make one with `casemate init`.",
            )
        return path
    found = find_manifest()
    if found is None:
        raise UsageError(
            f"There is no {MANIFEST_NAME} here or in a folder above.",
            next_step="Go into a project's folder, or make one with `casemate init`.",
        )
    # As messages are read at the place where they are told: `casemate.toml:4:11: ...`.
    if found.parent == Path.cwd().resolve():
        return Path(MANIFEST_NAME)
    return found


def resolve(text: str, *, qualified: bool = False) -> FunctionName:
    """Return the function that `text` names: PROJECT/FUNCTION, or FUNCTION inside a project.

    With `qualified` an alias or version may follow behind `@`. Raises UsageError.
    """
    name, at, qualifier = text.partition("@")
    if at and not qualified:
        raise UsageError(
            f"{text!r} names a version, expected only a function.",
            next_step=f"Leave out `@{qualifier}`.",
        )
    if at and not re.fullmatch(r"[1-9][0-9]{0,15}", qualifier):
        _check("alias", qualifier)
    project, slash, function = name.rpartition("/")
    if not slash:
        project = _project_here(name)
    _check("project", project)
    _check("function", function)
    return FunctionName(project, function, qualifier if at else None)


def _check(what: str, name: str) -> None:
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise UsageError(
            f"{name!r} is not the name of {'an' if what == 'alias' else 'a'} {what}: expected "
            "lower-case letters, digits and `-`, at most 63, a letter first.",
            next_step="`casemate ls` lists the functions of the node.",
        )


def _project_here(function: str) -> str:
    """Return the name of the project around the working directory.

    Only the name is read: looking at a function must work while its manifest is being edited.
    """
    path = find_manifest()
    if path is None:
        raise UsageError(
            f"{function!r} does not say which project, and there is no {MANIFEST_NAME} here.",
            next_step=f"Name it PROJECT/{function}, or go into the project's folder.",
        )
    try:
        with path.open("rb") as file:
            text = file.read(MAX_MANIFEST_BYTES).decode()
        name = toml_of(text)["project"]["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} does not say the project's name: {error}.",
            next_step=f"Fix it, or name the function PROJECT/{function}.",
        ) from error
    return str(name)


def user_name(text: str) -> str:
    """Return the name of a person; UsageError if nobody can be called that."""
    if _NAME.fullmatch(text) is None:
        raise UsageError(
            f"{text!r} cannot be the name of a person: expected lower-case letters, digits and "
            "`-`, at most 63 characters, a letter first.",
            next_step="Choose such a name, for example ada.",
        )
    return text


def bindings(texts: Iterable[str]) -> tuple[str, ...]:
    """Return roles with where they hold; UsageError for one that is not written as such."""
    found = tuple(texts)
    for text in found:
        role, at, scope = text.partition("@")
        names = [role, *scope.split("/")] if at else [role]
        if len(names) > 3 or not all(map(_NAME.fullmatch, names)):
            raise UsageError(
                f"{text!r} is not a role: expected ROLE, ROLE@PROJECT or ROLE@PROJECT/FUNCTION, "
                "in lower-case letters, digits and `-`.",
                next_step="`casemate policy ls` shows the roles there are.",
            )
    return found
