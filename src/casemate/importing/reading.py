"""Has the code of an application's functions read, each once, within one time for all of them."""

from __future__ import annotations

import time

from casemate.audit.code.reading import Code
from casemate.audit.model import Application, Function
from casemate.audit.privileges import Details, Files, details_of, environment, handler_name
from casemate.audit.workspace import Workspace
from casemate.importing.limits import MAX_SECONDS
from casemate.model.errors import CasemateError

_OWN_NAME = "AWS_LAMBDA_FUNCTION_NAME"


class Reading:
    """What the functions of one application call and read."""

    def __init__(self, application: Application, workspace: Workspace, code: Code) -> None:
        """Read nothing yet."""
        self._code = code
        self._files = Files(workspace.files)
        self._handlers = frozenset(map(handler_name, application.functions))
        self._known: dict[object, Details] = {}
        self._left = MAX_SECONDS

    def of(self, function: Function, hidden: frozenset[str]) -> Details:
        """Return it of one function. Values of the variables that are hidden are not looked at."""
        values = tuple(v for v in function.environment if v.name not in hidden)
        key = (function.code, function.entry, function.handler, function.inline, values)
        found = self._known.get(key)
        if found is None:
            found = self._read(function, hidden)
            if not any(each.name == _OWN_NAME for each in found.variables):
                self._known[key] = found
        return found

    def _read(self, function: Function, hidden: frozenset[str]) -> Details:
        variables = environment(function, hidden)
        others = self._handlers - {handler_name(function)}
        began = time.thread_time()
        try:
            return details_of(function, self._files, self._code, variables, self._left, others)
        except CasemateError as error:  # where what is known of AWS is not installed
            return Details(why=error.message)
        finally:
            self._left -= time.thread_time() - began
