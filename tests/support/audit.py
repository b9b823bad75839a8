"""Applications out of texts, for tests."""

from __future__ import annotations

from casemate.audit.auditing import applications_of
from casemate.audit.model import Application, Function
from casemate.audit.workspace import Workspace


def application(text: str, name: str = "template.yaml", **more: str) -> Application:
    """Return the one application of a text and files beside it (`src__app.py` is src/app.py)."""
    files = {name: text, **{key.replace("__", "/"): value for key, value in more.items()}}
    [found] = applications_of(Workspace.of(files))
    return found


def function(found: Application, name: str) -> Function:
    """Return a function that has to be there."""
    made = found.function(name)
    assert made is not None, [f.name for f in found.functions]
    return made
