"""Privileges of all functions of an application: their code read, each beside its grants."""

from __future__ import annotations

import time

from casemate.audit.code.reading import Code, PythonFile
from casemate.audit.model import Application, Function, Platform, Statement
from casemate.audit.privileges.comparing import compare
from casemate.audit.privileges.deciding import Decided
from casemate.audit.privileges.needs import EVERY, Needs, Open, Recorder
from casemate.audit.privileges.program import Files, Modules, Parsed
from casemate.audit.privileges.reader import StoppedError
from casemate.audit.privileges.reading import ProgramReader
from casemate.audit.privileges.resources import Names
from casemate.audit.privileges.results import Privileges
from casemate.audit.privileges.values import DATA, Text, Values
from casemate.audit.workspace import Workspace

MAX_SECONDS = 60.0
"""Of processor time for one application."""
_INLINE = "index.py"
_PLATFORMS = (Platform.AWS, Platform.CASEMATE)
_LAMBDA = frozenset(("lambda.amazonaws.com", "edgelambda.amazonaws.com"))


def privileges_of(application: Application, workspace: Workspace, code: Code) -> list[Privileges]:
    """Return what is to be said of each function that is granted something."""
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
            needs = _needs(function, files, code, left)
            if function.role in trusting:
                what = f"the role {function.role[:80]} is not for functions alone"
                needs = Needs(uses=needs.uses, open=(Open(EVERY, function.place, what),))
            decided.append(Decided(function, needs, names))
    by_role: dict[str, list[Decided]] = {}
    for each in decided:
        by_role.setdefault(each.function.role, []).append(each)
    return [
        compare(
            application.name,
            each,
            [other for other in by_role[each.function.role] if other is not each]
            if each.function.role
            else (),
        )
        for each in decided
    ]


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


def _needs(function: Function, files: Files, code: Code, seconds: float = MAX_SECONDS) -> Needs:
    """Return what a function needs, or why that is not known."""
    if seconds <= 0:
        return _closed(function, "the time for its application was used up before")
    file, root = function.entry, function.code or ""
    parsed: Parsed = code
    if function.language != "python":
        return _closed(function, f"its code is no Python: {function.language or 'not known'}")
    inline = code.inline(function)
    if inline is not None:
        file, files, root, parsed = _INLINE, Files((_INLINE,)), "", _Inline(inline)
    elif function.code is None or not file:
        return _closed(function, "its code is not here")
    recorder = Recorder()
    own = function.platform is Platform.CASEMATE
    reader = ProgramReader(Modules(parsed, root, files), recorder, environment(function), own)
    try:
        reader.run(file, _handler(function), seconds)
    except StoppedError as error:
        return _closed(function, str(error))
    except RecursionError:
        return _closed(function, "its code is nested too deep")
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        # A fault on code that nobody thought of must not hide what is known of all others.
        return _closed(function, f"its code could not be read: {type(error).__name__}")
    return recorder.needs()


class _Inline:
    """Code that stands in the template, as the only file."""

    def __init__(self, file: PythonFile) -> None:
        self._file = file

    def python(self, file: str) -> PythonFile | None:
        return self._file if file == _INLINE else None


def _closed(function: Function, what: str) -> Needs:
    return Needs(open=(Open(EVERY, function.place, what),))


def _handler(function: Function) -> str:
    """Return the name of the handler in its module: `app.handler`, `src/app.handler`, `a:f`."""
    handler = function.handler
    if ":" in handler:
        return handler.partition(":")[2]
    return handler.rpartition(".")[2]


def environment(function: Function) -> dict[str, Values]:
    """Return the environment's variables as the template sets them."""
    if not function.knows("environment"):
        return _Unknown()
    found: dict[str, Values] = {
        variable.name: frozenset((Text(variable.value),)) for variable in function.environment
    }
    found["AWS_LAMBDA_FUNCTION_NAME"] = frozenset((Text("${" + function.name + "}"),))
    return found


class _Unknown(dict[str, Values]):
    """An environment of which nothing is known."""

    def get(self, name: object, default: object = None) -> Values:
        """Return data that may be anything."""
        return DATA
