"""What functions of this platform surely call, and their manifest does not grant.

Advice for who deploys: the node refuses such a call in any case. What the code does not surely say,
as a name that is computed, is left out.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from casemate.audit.code.reading import Code
from casemate.audit.importers.casemate_project import CasemateProject
from casemate.audit.importers.port import Source
from casemate.audit.model import Function, Place
from casemate.audit.privileges.functions import environment, read
from casemate.audit.privileges.needs import Recorder
from casemate.audit.privileges.program import Files
from casemate.audit.workspace import Workspace


class Ungranted(msgspec.Struct, frozen=True, order=True):
    """One action on one resource that a function's code calls and nothing grants."""

    function: str
    kind: str
    """`table`, `bucket`, `queue`, `topic`, `secret` or `function`."""
    resource: str
    action: str
    place: Place
    """The first call of it in the code."""


def ungranted_uses(
    manifest: Path, functions: Collection[str], *, seconds: float
) -> list[Ungranted]:
    """Return what the named functions of a manifest call and are not granted, in order.

    `seconds` is the processor time after which no further function is read. Of a function whose
    code cannot be read nothing is returned.
    """
    workspace = Workspace(manifest.parent)
    code, files = Code(workspace), Files(workspace.files)
    until = time.thread_time() + seconds
    found: dict[tuple[str, str, str, str], Ungranted] = {}
    for application in CasemateProject().read(Source(manifest.name, ()), workspace):
        for function in application.functions:
            left = until - time.thread_time()
            if function.name in functions and left > 0:
                for each in _of(function, files, code, left):
                    key = each.function, each.kind, each.resource, each.action
                    found[key] = min(found.get(key, each), each)
    return sorted(found.values())


def _of(function: Function, files: Files, code: Code, seconds: float) -> Iterator[Ungranted]:
    recorder = Recorder()
    if read(function, files, code, recorder, environment(function), seconds):
        return  # it could not be read to its end
    granted = {
        (action, resource.partition("/")[2])
        for statement in function.permissions
        for action in statement.actions
        for resource in statement.resources
    }
    for need in recorder.needs().uses:
        kind, _, action = need.action.partition(":")
        if need.sure and need.known and (need.action, need.resource) not in granted:
            yield Ungranted(function.name, kind, need.resource, action, need.place)
