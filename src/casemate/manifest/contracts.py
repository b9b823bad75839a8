"""The contracts that a manifest names: files inside the project, read here and checked whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from casemate.contracts import MAX_BYTES, ContractError, canonical
from casemate.manifest.folder import ProjectFolder
from casemate.manifest.locator import KeyPath
from casemate.manifest.problem import ProblemCollector, printable, quoted
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.trigger_tables import TABLES
from casemate.manifest.validation import Values

MAX_TOGETHER = 1024 * 1024
"""Bytes of all contracts of a function."""


def read_contracts(
    folder: ProjectFolder,
    function: Values,
    path: KeyPath,
    problems: ProblemCollector,
    *,
    unwritten: bool = False,
) -> None:
    """Put the texts of a function's contracts in the places of their files' names.

    What cannot be used is noted, and None in its place; with `unwritten` there is none then.
    """
    total = 0
    for table, place in _tables(function, path):
        file = table.get("contract")
        if not isinstance(file, str):
            continue
        table["contract"] = None
        try:
            text = canonical(_read(folder, file))
        except (RejectedValueError, ContractError) as error:
            if unwritten:
                del table["contract"]
            else:
                problems.add(place, *_unusable(file, error))
        else:
            table["contract"] = text
            total += len(text.encode())
            if total > MAX_TOGETHER:
                problems.add(
                    place, f"{total} bytes of contracts", f"at most {MAX_TOGETHER} of a function"
                )
                return


def _unusable(file: str, error: RejectedValueError | ContractError) -> tuple[str, str]:
    """Return what was found of a file and what is expected."""
    if isinstance(error, RejectedValueError):
        return error.found, error.expected
    found = f"{quoted(file)}: {printable(error.message).removesuffix('.')}"
    step = (error.next_step or "Correct it.").removesuffix(".")
    return found, f"a contract that holds: {step[:1].lower()}{step[1:]}"


def _tables(function: Values, path: KeyPath) -> Iterator[tuple[Values, KeyPath]]:
    """Yield the function, its routes and its triggers, each with the place of its contract."""
    yield function, (*path, "contract")
    for key in ("http", *(kind.value for kind in TABLES)):
        found = function.get(key)
        for index, table in enumerate(found if isinstance(found, list) else ()):
            yield table, (*path, key, index, "contract")


def _read(folder: ProjectFolder, relative: str) -> str:
    path = folder.contract(relative)
    try:
        # O_NONBLOCK: opening a named pipe must not wait for its writer.
        descriptor = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        )
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_BYTES + 1) if regular else b""
        finally:
            os.close(descriptor)
        if not regular:
            raise RejectedValueError("a regular file", quoted(relative))
        if len(data) > MAX_BYTES:
            raise RejectedValueError(
                f"a contract of at most {MAX_BYTES // 1024} KiB",
                f"{quoted(relative)}, a larger one",
            )
        return data.decode()
    except OSError as error:
        raise RejectedValueError(
            "a readable file", f"{quoted(relative)}, which cannot be read ({error.strerror})"
        ) from error
    except UnicodeDecodeError as error:
        raise RejectedValueError("UTF-8 text", f"{quoted(relative)}, which is not") from error
