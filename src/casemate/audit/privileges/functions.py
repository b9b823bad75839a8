"""The code of one function, read: from its handler on, in its files or in the template."""

from __future__ import annotations

from collections.abc import Mapping

from casemate.audit.code.reading import Code, PythonFile
from casemate.audit.model import Function, Platform
from casemate.audit.privileges import javascript
from casemate.audit.privileges.details import DetailRecorder, Details
from casemate.audit.privileges.javascript import Together
from casemate.audit.privileges.needs import Recorder
from casemate.audit.privileges.program import Files, Modules, Parsed
from casemate.audit.privileges.reader import StoppedError
from casemate.audit.privileges.reading import ProgramReader
from casemate.audit.privileges.values import DATA, Text, Values

_INLINE = "index.py"


def read(
    function: Function,
    files: Files,
    code: Code,
    recorder: Recorder,
    variables: Mapping[str, Values],
    seconds: float,
    others: frozenset[str] = frozenset(),
    together: Together | None = None,
) -> str:
    """Tell a recorder what a function needs; return why not all of it is known, or nothing.

    `others` are names of functions that something else calls: other handlers. What reads
    JavaScript as well may be `together` with it.
    """
    if seconds <= 0:
        return "the time for its application was used up before"
    file, root = function.entry, function.code or ""
    parsed: Parsed = code
    if function.language == "javascript":
        try:
            return javascript.read(function, code, recorder, variables, seconds, together)
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            return f"its code could not be read: {type(error).__name__}"
    if function.language != "python":
        return f"its code is neither Python nor JavaScript: {function.language or 'not known'}"
    inline = code.inline(function)
    if inline is not None:
        file, files, root, parsed = _INLINE, Files((_INLINE,)), "", _Inline(inline)
    elif function.code is None or not file:
        return "its code is not here"
    own = function.platform is Platform.CASEMATE
    reader = ProgramReader(Modules(parsed, root, files), recorder, variables, own, others)
    try:
        reader.run(file, handler_name(function), seconds)
    except StoppedError as error:
        return str(error)
    except RecursionError:
        return "its code is nested too deep"
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        # A fault on code that nobody thought of must not hide what is known of all others.
        return f"its code could not be read: {type(error).__name__}"
    return ""


def details_of(
    function: Function,
    files: Files,
    code: Code,
    variables: Mapping[str, Values],
    seconds: float,
    others: frozenset[str] = frozenset(),
) -> Details:
    """Return what a function's code calls and reads; what is known of it, if that is not all."""
    recorder = DetailRecorder()
    why = read(function, files, code, recorder, variables, seconds, others)
    return recorder.details(why)


class _Inline:
    """Code that is in the template, as the only file."""

    def __init__(self, file: PythonFile) -> None:
        self._file = file

    def python(self, file: str) -> PythonFile | None:
        return self._file if file == _INLINE else None


def handler_name(function: Function) -> str:
    """Return the name of the handler in its module: `app.handler`, `src/app.handler`, `a:f`."""
    handler = function.handler
    if ":" in handler:
        return handler.partition(":")[2]
    return handler.rpartition(".")[2]


def environment(function: Function, without: frozenset[str] = frozenset()) -> dict[str, Values]:
    """Return the environment's variables as the template sets them; those `without` have none."""
    if not function.knows("environment"):
        return _Unknown()
    found: dict[str, Values] = {
        variable.name: frozenset((Text(variable.value),))
        for variable in function.environment
        if variable.name not in without
    }
    found["AWS_LAMBDA_FUNCTION_NAME"] = frozenset((Text("${" + function.name + "}"),))
    return found


class _Unknown(dict[str, Values]):
    """An environment of which nothing is known."""

    def get(self, name: object, default: object = None) -> Values:
        """Return data that may be anything."""
        return DATA
