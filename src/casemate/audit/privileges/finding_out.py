"""Privileges of all functions of an application: their code read, each beside its grants."""

from __future__ import annotations

import time

from casemate.audit.code.reading import Code
from casemate.audit.model import Application, Function, Platform, Statement
from casemate.audit.privileges.comparing import Sharing, compare
from casemate.audit.privileges.deciding import Decided
from casemate.audit.privileges.functions import environment, read
from casemate.audit.privileges.javascript import Together
from casemate.audit.privileges.needs import EVERY, Needs, Open, Recorder
from casemate.audit.privileges.program import Files
from casemate.audit.privileges.resources import Names
from casemate.audit.privileges.results import Privileges
from casemate.audit.workspace import Workspace

MAX_SECONDS = 60.0
"""Of processor time for one application."""
_PLATFORMS = (Platform.AWS, Platform.CASEMATE)
_LAMBDA = frozenset(("lambda.amazonaws.com", "edgelambda.amazonaws.com"))


def privileges_of(
    application: Application,
    workspace: Workspace,
    code: Code,
    together: Together | None = None,
) -> list[Privileges]:
    """Return what is to be said of each function that is granted something.

    What else reads the code does so `together` with it, and is told of each function when its
    code was read, whether it is granted something or not.
    """
    if application.platform not in _PLATFORMS:
        return []
    names = Names(application)
    trusting = _used_by_others(application)
    decided: list[Decided] = []
    files = Files(workspace.files)
    until = time.thread_time() + MAX_SECONDS
    for function in application.functions:
        if function.permissions:
            left = until - time.thread_time()
            needs = _needs(function, files, code, left, together)
            if function.role in trusting:
                what = f"the role {function.role[:80]} is not for functions alone"
                needs = Needs(uses=needs.uses, open=(Open(EVERY, function.place, what),))
            decided.append(Decided(function, needs, names))
        if together is not None:
            together.done(function)
    by_role: dict[str, list[Decided]] = {}
    for each in decided:
        by_role.setdefault(each.function.role, []).append(each)
    sharing = {role: Sharing(members) for role, members in by_role.items() if role}
    return [compare(application.name, each, sharing.get(each.function.role)) for each in decided]


def _used_by_others(application: Application) -> frozenset[str]:
    """Return the roles that something else than a function may become."""
    return frozenset(
        asset.name
        for asset in application.of_kind("role")
        if any(_other(statement) for statement in asset.policy)
    )


def _other(statement: Statement) -> bool:
    return statement.allows and any(
        principal.removeprefix("service:") not in _LAMBDA for principal in statement.principals
    )


def _needs(
    function: Function,
    files: Files,
    code: Code,
    seconds: float = MAX_SECONDS,
    together: Together | None = None,
) -> Needs:
    """Return what a function needs, or why that is not known."""
    recorder = Recorder()
    variables = environment(function)
    why = read(function, files, code, recorder, variables, seconds, together=together)
    return Needs(open=(Open(EVERY, function.place, why),)) if why else recorder.needs()
