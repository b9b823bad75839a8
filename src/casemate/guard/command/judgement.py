"""Did data change what a command is: its words, its program, its options?"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

from ..origin import Span
from ..spans import neutral
from ..sql import structure
from ..sql.tokens import Dialect
from ..verdict import Verdict
from ..written.settings import FIX_MAKE, RECIPE
from . import awk, programs, reading, variables
from .arguments import Argument, argument_of, judge_variable
from .comparing import difference, nearest, unquoted
from .escaped import called, evaluated, literal
from .shell import Word, is_assignment, parse
from .unknown_code import NUMBER, in_file, plain

_MAX_DEPTH = 8
_SOURCING = frozenset((".", "source"))
_RUNS_FILE = re.compile(r"(?:^|[;&|(\s/])(?:\.|source|xargs|(?:ba|da|z|k)?sh)\s")
FIX_SHELL = (
    'give the program and its arguments as a list, without a shell: subprocess.run(["ls", "--", '
    "name]); where a shell has to be, put each value through shlex.quote()"
)
_FIX_PROGRAM = (
    "choose the program from a collection in the code (`TOOLS[name]`, or `if name not in TOOLS: "
    "raise ...`)"
)
_ENDS_OPTIONS = ("--", "--end-of-options")
"""What ends the options of a program; the second is git's, before a revision (gitcli(7))."""
_FIX_OPTION = (
    'put "--" before the value (["ls", "--", name]), or refuse values that begin with a dash'
)

_FROM_INPUT = re.compile(r"-[a-zA-Z]*s")
_VARIABLE = re.compile(r"[A-Za-z_][\w.-]{0,63}(?:::?|[?+!])?=")
_FIX_PART = "refuse values with the signs that divide it, or check them by a pattern"

ReadScript = Callable[[str], "tuple[str, Sequence[Span]] | None"]


def _no_script(path: str) -> None:
    return None


def _no_texts(text: str) -> Sequence[Span]:
    return ()


CodeJudge = Callable[[str, Sequence[Span]], Verdict | None]
FindTexts = Callable[[str], Sequence[Span]]


class Judgement:
    """Judges command lines and lists of arguments, one inside the other."""

    def __init__(
        self,
        python: CodeJudge,
        path: CodeJudge,
        *,
        script: ReadScript = _no_script,
        texts: FindTexts = _no_texts,
        direct: bool = True,
        file: CodeJudge | None = None,
    ) -> None:
        """`direct`: the function's own code makes the call, not a dependency by itself.

        `file` judges an operand that is the name of a file, and `path` what has one in it.
        `script` reads a file that is run, with what in it came from outside. `texts` finds the
        event's texts, whole, in another.
        """
        self._texts = texts
        self._read = script
        self._python = python
        self._path = path
        self._file = path if file is None else file
        self._direct = direct

    # -- the shell -----------------------------------------------------------------------------

    def line(  # noqa: PLR0911 - one question after the other
        self, text: str, spans: Sequence[Span], depth: int = 0
    ) -> Verdict | None:
        """Judge a command line of a shell."""
        spans = [trimmed for span in spans if (trimmed := unquoted(text, span)) is not None]
        doubtful = [s for s in spans if not s.vouched]
        if not doubtful:
            return None
        if depth > _MAX_DEPTH:
            return Verdict(doubtful[0].origin, "is too deep in shells of shells", FIX_SHELL)
        found = parse(text)
        if found.broken is not None:
            origin = nearest(doubtful, found.broken.start)
            return Verdict(origin, "stands in a command line with an open quote", FIX_SHELL)
        harmless = neutral(text, [s for s in doubtful if not literal(text, s, found, self._texts)])
        changed = difference(text, found, parse(harmless))
        if changed is not None:
            place, words = changed
            return Verdict(nearest(doubtful, place), words, FIX_SHELL)
        for command in found.commands:
            verdict = self._command([argument_of(word, spans) for word in command], command, depth)
            if verdict is not None:
                return verdict
        for writes, reads in reading.piped(found):
            if text[found.commands[writes][-1].end :].lstrip()[:1] != "|":
                continue
            given = [argument_of(word, spans) for word in found.commands[writes]]
            verdict = self.pipe(given, [argument_of(w, spans) for w in found.commands[reads]])
            if verdict is not None:
                return verdict
        for target in found.targets:
            argument = argument_of(target, spans)
            if argument.spans and (verdict := self._path(argument.value, argument.spans)):
                return verdict
        return None

    def _command(
        self, arguments: list[Argument], words: Sequence[Word], depth: int
    ) -> Verdict | None:
        while words and is_assignment(words[0]) and arguments:
            name, _, _ = words[0].value.partition("=")
            verdict = judge_variable(name, arguments[0], len(name))
            if verdict is not None:
                return verdict
            words, arguments = words[1:], arguments[1:]
        return self.arguments(arguments, depth)

    # -- lists ---------------------------------------------------------------------------------

    def arguments(  # noqa: PLR0911 - one kind of program after the other
        self, arguments: Sequence[Argument], depth: int = 0
    ) -> Verdict | None:
        """Judge a program and its arguments."""
        if not arguments:
            return None
        if not any(a.spans for a in arguments):
            return self._files(arguments, depth)
        if depth > _MAX_DEPTH:
            origin = next(a for a in arguments if a.spans).spans[0].origin
            return Verdict(origin, "is too deep in commands of commands", FIX_SHELL)
        verdict = self._program(arguments[0])
        if verdict is not None:
            return verdict
        name = programs.base_name(arguments[0].value)
        rest = arguments[1:]
        if name in programs.WRAPPERS:
            return self._wrapper(name, rest, depth)
        if name in programs.SHELLS:
            return self._shell(name, rest, depth)
        if name == "eval":
            return self._joined(rest, depth)
        if name in _SOURCING:
            return self._script(rest)
        files = name in reading.INTERPRETERS or name in programs.CODE_FILES
        written = self._files(arguments, depth) if files else None
        return written or self._code(name, rest, depth) or self._options(name, rest)

    def _files(self, arguments: Sequence[Argument], depth: int) -> Verdict | None:
        """Judge what runs if no argument holds anything: the program itself, or a script."""
        name = programs.base_name(arguments[0].value)
        if name in _SOURCING:
            return self._written(arguments[1].value, depth, "sh") if len(arguments) > 1 else None
        verdict = self._code_files(name, arguments[1:]) or self._items_of_file(name, arguments)
        if verdict is not None:
            return verdict
        options = [a.value for a in arguments[1:3]]
        if name in programs.SHELLS and len(options) > 1 and options[0] == "-c":
            return self.sourced(options[1], depth + 1)
        if name not in programs.SHELLS and name not in reading.INTERPRETERS:
            return self._written(arguments[0].value, depth)
        script = next((a.value for a in arguments[1:] if not a.value.startswith("-")), "")
        return self._written(script, depth, name)

    def _code_files(self, name: str, rest: Sequence[Argument]) -> Verdict | None:
        """Judge files with code of sed, awk and jq."""
        options = programs.CODE_FILES.get(name, ())
        given = itertools.pairwise(rest) if options else ()
        for option, value in given:
            read = self._read(value.value) if option.value in options else None
            verdict = in_file(*read, name) if read is not None else None
            if verdict is not None:
                return verdict
        return None

    def _items_of_file(self, name: str, arguments: Sequence[Argument]) -> Verdict | None:
        """Judge a file whose lines xargs hands to another program: `xargs -a names.txt`."""
        for option, value in itertools.pairwise(arguments) if name == "xargs" else ():
            read = self._read(value.value) if option.value in ("-a", "--arg-file") else None
            verdict = self.standard_input(arguments, *read) if read is not None else None
            if verdict is not None:
                return verdict
        return None

    def sourced(self, text: str, depth: int = 0) -> Verdict | None:
        """Judge scripts that were written before a line, which holds nothing itself, runs them."""
        if depth > _MAX_DEPTH or (_RUNS_FILE.search(text) is None and "<" not in text):
            return None
        line = parse(text)
        for number, path in reading.redirected(text, line):
            read = self._read(path)
            words = [argument_of(word, ()) for word in line.commands[number]]
            verdict = self.standard_input(words, *read) if read is not None else None
            if verdict is not None:
                return verdict
        for command in line.commands:
            found = [argument_of(word, ()) for word in command]
            verdict = self._files(found, depth + 1) if found else None
            if verdict is not None:
                return verdict
        return None

    def _program(self, argument: Argument) -> Verdict | None:
        for span in argument.doubtful:
            before = argument.value[: span.start]
            part = argument.value[span.start : span.end]
            sure = self._direct or argument.known
            chosen = not before or before.endswith("/") or "/" in part
            if sure and chosen and (span.exact or span.end - span.start == len(argument.value)):
                return Verdict(span.origin, "chooses the program that runs", _FIX_PROGRAM)
        return None

    def _wrapper(self, name: str, rest: Sequence[Argument], depth: int) -> Verdict | None:
        operands, takes = programs.WRAPPERS[name]
        skip = False
        for number, argument in enumerate(rest):
            if skip:
                skip = False
                continue
            if argument.value.startswith("-") and not (argument.spans and argument.doubtful):
                skip = argument.value in takes
                if name == "env" and argument.value in ("-S", "--split-string"):
                    return self._joined(rest[number + 1 :], depth)
                continue
            variable = re.match(r"(\w+)=", argument.value)
            if name in ("env", "sudo") and variable:
                verdict = judge_variable(variable[1], argument, len(variable[1]))
                if verdict is not None:
                    return verdict
                continue
            if operands:
                operands -= 1
                verdict = self._options(name, [argument])
                if verdict is not None:
                    return verdict
                continue
            verdict = self._options(name, [argument])
            return verdict or self.arguments(rest[number:], depth + 1)
        return None

    def _shell(self, name: str, rest: Sequence[Argument], depth: int) -> Verdict | None:
        for number, argument in enumerate(rest):
            # `subprocess` puts the option there itself, whatever the event has in it.
            chosen = argument.doubtful and argument.known
            if re.fullmatch(r"-[a-zA-Z]*c", argument.value) and not chosen:
                script, *given = rest[number + 1 :] or [Argument("")]
                verdict = self.line(script.value, script.spans, depth + 1)
                return verdict or self._parameters(script, given, depth)
            if _FROM_INPUT.fullmatch(argument.value) and not chosen:
                return self._options_of_input(name, rest[number + 1 :])
            if not argument.value.startswith(("-", "+")):
                verdict = self._script(rest[number:]) or self._written(argument.value, depth)
                verdict = verdict or self._of_script(argument, rest[number + 1 :], depth)
                if verdict is None and reading.takes_options(argument.value):
                    verdict = self._options(programs.base_name(argument.value), rest[number + 1 :])
                return verdict
            if argument.doubtful:
                return self._options(name, rest[number:])
        return None

    def _parameters(
        self, script: Argument, given: Sequence[Argument], depth: int
    ) -> Verdict | None:
        """Judge what a script has as $0, $1 and so on: data, if they do not run."""
        again = evaluated(script, given)
        verdict = self.line(again.value, again.spans, depth + 1) if again is not None else None
        commands = (self.arguments(c, depth + 1) for c in called(script, given))
        return verdict or next((found for found in commands if found is not None), None)

    def _of_script(self, script: Argument, given: Sequence[Argument], depth: int) -> Verdict | None:
        """Judge what a script of the code's own evaluates of what it is given: `tag=$1`."""
        held = reading.parameters_of(script.value, given) if not script.spans else None
        if not held:
            return None
        text, values = held
        return variables.judge(
            text,
            values.get,
            lambda a: self.arguments(a, depth + 1) if a and a[0].value == "eval" else None,
            self.pipe,
        )

    def _options_of_input(self, name: str, rest: Sequence[Argument]) -> Verdict | None:
        """Judge options after `-s`; what comes after them is judged with the script."""
        for number, argument in enumerate(rest):
            if argument.doubtful and argument.value.startswith(("-", "+")):
                return self._options(name, rest[number:])
            if argument.value == "--" or not argument.value.startswith(("-", "+")):
                return None
        return None

    def given_to_input(self, arguments: Sequence[Argument], script: str) -> Verdict | None:
        """Judge what a shell gives to a script that it reads (`sh -s -- one two`) as $1, $2."""
        if not arguments or programs.base_name(arguments[0].value) not in programs.SHELLS:
            return None
        at = next((n for n, a in enumerate(arguments) if _FROM_INPUT.fullmatch(a.value)), None)
        if at is None:
            return None
        rest = list(arguments[at + 1 :])
        while rest and rest[0].value.startswith(("-", "+")):
            if rest.pop(0).value == "--":
                break
        return self._parameters(Argument(script), [arguments[0], *rest], 0)

    def _written(self, path: str, depth: int, name: str = "") -> Verdict | None:
        """Judge a script that was written before it is run, by the program `name` or by itself."""
        found = self._read(path)
        if found is None:
            return None
        runs = reading.interpreter_of(name, found[0])
        return self._code_of(runs, found[0], found[1], depth)

    def _code_of(self, name: str, text: str, spans: Sequence[Span], depth: int) -> Verdict | None:
        def shell(line: str, inside: Sequence[Span]) -> Verdict | None:
            return self.line(line, inside, depth + 1)

        return reading.judge_code(name, text, spans, shell, self._python)

    def pipe(self, writes: Sequence[Argument], reads: Sequence[Argument]) -> Verdict | None:
        """Judge what a command that shows its arguments hands to the next one."""
        if not writes or programs.base_name(writes[0].value) not in ("echo", "printf"):
            return None
        for argument in writes[1:]:
            if argument.doubtful:
                verdict = self.standard_input(reads, argument.value, argument.spans)
                if verdict is not None:
                    return verdict
        return None

    def standard_input(
        self, arguments: Sequence[Argument], text: str, spans: Sequence[Span]
    ) -> Verdict | None:
        """Judge what a program reads: code, if it is an interpreter that was given none."""
        name = programs.base_name(arguments[0].value) if arguments else ""
        rest = arguments[1:]
        while name in programs.WRAPPERS and name != "xargs" and rest:
            name, rest = programs.base_name(rest[0].value), rest[1:]
        if name in ("xargs", "parallel"):
            return reading.judge_items(rest, text, spans, lambda a: self.arguments(a, 1))
        if reading.reads_code(name, [argument.value for argument in rest]):
            return self._code_of(name, text, spans, 0)
        if name in programs.SHELLS:
            return self._read_lines([a.value for a in rest], text, spans)
        return reading.judge_settings(name, [a.value for a in rest], text, spans)

    def _read_lines(self, rest: Sequence[str], text: str, spans: Sequence[Span]) -> Verdict | None:
        """Judge lines that a script reads into variables and runs: `read -r x; eval "$x"`."""
        for script in rest:
            names = reading.names_read(script)
            for line in reading.items(text, spans, "\n") if names else ():
                verdict = variables.judge(
                    script,
                    dict.fromkeys(names, line).get,
                    lambda a: self.arguments(a, 1) if a and a[0].value == "eval" else None,
                    self.pipe,
                )
                if verdict is not None:
                    return verdict
        return None

    def _script(self, rest: Sequence[Argument]) -> Verdict | None:
        if rest and rest[0].spans:
            verdict = self._program(rest[0])
            if verdict is not None:
                return verdict
        return None

    def _joined(self, rest: Sequence[Argument], depth: int) -> Verdict | None:
        """Judge arguments that a program puts together to one command line."""
        text, spans = "", list[Span]()
        for argument in rest:
            text += " " if text else ""
            spans += [s.moved(len(text)) for s in argument.spans]
            text += argument.value
        return self.line(text, spans, depth + 1) if spans else None

    # -- what programs do with arguments -------------------------------------------------------

    def _code(  # noqa: PLR0911, PLR0912 - one kind of program after the other
        self, name: str, rest: Sequence[Argument], depth: int
    ) -> Verdict | None:
        if name in programs.REMOTE:
            return self._remote(name, rest, depth)
        if name in programs.AWKS:
            verdict = awk.judge(rest, lambda text, spans: self.line(text, spans, depth + 1))
            if verdict is not None:
                return verdict
        if name in programs.COMMAND_OPTIONS and not programs.COMMAND_OPTIONS[name]:
            operands = [a for a in rest if not a.value.startswith("-") or a.doubtful]
            return self._joined(operands, depth)
        code_given = False
        before = previous = ""
        for number, argument in enumerate(rest):
            if argument.spans:
                verdict = self._valued(name, previous, argument, depth)
                if verdict is not None:
                    return verdict
            if argument.value in programs.CODE_OPTIONS.get(name, ()):
                code_given = True
            operand = not argument.value.startswith("-") and not _takes(name, previous, before)
            if operand and name in programs.CODE_OPERAND and not code_given:
                code_given = True
                verdict = plain(argument, name)
                if verdict is not None:
                    return verdict
            if operand and name == "sqlite3" and number and argument.spans:
                verdict = structure.judge(argument.value, argument.spans, (Dialect.SQLITE,))
                if verdict is not None:
                    return verdict
            if name == "find" and argument.value in programs.EXECUTES and not argument.spans:
                return self.arguments(rest[number + 1 :], depth + 1)
            before, previous = previous, argument.value
        return None

    def _valued(self, name: str, previous: str, argument: Argument, depth: int) -> Verdict | None:
        """Judge an argument by the option before it."""
        value, spans, _ = argument
        if previous in programs.COMMAND_OPTIONS.get(name, ()):
            return self.line(value, spans, depth + 1)
        if previous in programs.SQL_OPTIONS.get(name, ()):
            dialect = Dialect.POSTGRESQL if name == "psql" else Dialect.MYSQL
            return structure.judge(value, spans, (dialect,))
        if previous in programs.CODE_OPTIONS.get(name, ()):
            return (
                self._python(value, spans) if name in ("python", "pypy") else plain(argument, name)
            )
        verdict = _divided(name, previous, argument)
        if verdict is not None:
            return verdict
        if previous in programs.MODULE_OPTIONS.get(name, ()) and argument.doubtful:
            origin = argument.doubtful[0].origin
            return Verdict(origin, f"chooses what {name} loads or runs", _FIX_PROGRAM)
        return _made(argument) if name in programs.MAKES else None

    def _remote(self, name: str, rest: Sequence[Argument], depth: int) -> Verdict | None:
        verdict = self._options(name, rest)
        if verdict is not None:
            return verdict
        skip = False
        for number, argument in enumerate(rest):
            if skip:
                skip = False
                if argument.doubtful and rest[number - 1].value in ("-o", "-F"):
                    return Verdict(argument.doubtful[0].origin, f"sets {name}'s options", FIX_SHELL)
            elif argument.value.startswith("-") and argument.value != "--":
                skip = len(argument.value) == 2 and argument.value[1] in "bcDEeFIiJLlmOopQRSWw"
            elif argument.value != "--":
                return self._joined(rest[number + 1 :], depth)
        return None

    def _options(self, name: str, rest: Sequence[Argument]) -> Verdict | None:
        ended = False
        before = previous = ""
        part = f"git {_subcommand(rest)}" if name == "git" else name
        special = programs.SPECIAL_VALUES.get(name)
        files = name in programs.OF_FILES or name == "find"
        for argument in rest:
            value = argument.value
            valued = _takes(name, previous, before) or _takes(part, previous, before)
            for span in argument.doubtful:
                begins = span.start == 0 and value.startswith("-")
                taken = ended or valued
                if begins and not taken and _is_option(name, value):
                    words = f"begins with a dash: becomes an option of {_shown(name)}"
                    return Verdict(span.origin, words, _FIX_OPTION)
                if span.start == 0 and special is not None and special.match(value):
                    words = f"begins with what has {_shown(name)} do something else with it"
                    return Verdict(span.origin, words, _FIX_OPTION)
                if span.start > 0 and (verdict := self._path(value, argument.spans)):
                    return verdict
                of_files = files and span.start == 0 and not begins
                if of_files and not valued and (verdict := self._file(value, argument.spans)):
                    return verdict
            operand = not valued and (ended or not value.startswith("-"))
            files = _of_files_next(name, value, operand=operand, so_far=files)
            ended = ended or (value in _ENDS_OPTIONS and not argument.spans)
            ended = ended or previous in programs.LAST_OPTIONS.get(name, ())
            before, previous = previous, value
        return None


def _divided(name: str, previous: str, argument: Argument) -> Verdict | None:
    """Judge the argument of an option that has parts, or a part that can be a file's name."""
    value = argument.value
    ends = programs.DIVIDED_VALUES.get(name, {}).get(previous)
    begun = programs.BEGUN_VALUES.get(name, {}).get(previous)
    mark = begun.match(value) if begun is not None else None
    for span in argument.doubtful:
        if span.start > 0 and ends is not None and ends.search(value, span.start, span.end):
            return Verdict(span.origin, f"begins another part of {previous}", _FIX_PART)
        if mark is not None and span.start < mark.end() <= span.end:
            words = f"begins with what has {_shown(name)} do something else with it"
            return Verdict(span.origin, words, _FIX_OPTION)
    return None


def _of_files_next(name: str, value: str, *, operand: bool, so_far: bool) -> bool:
    """Tell whether the operand after this argument is the name of a file."""
    if name == "find":  # folders come first, then what is looked for in them
        return so_far and (operand or value in programs.BEFORE_FOLDERS)
    first = programs.FILES_AFTER_FIRST.get(name)
    given = first is not None and (operand or value.partition("=")[0] in first)
    return so_far or given


def _made(argument: Argument) -> Verdict | None:
    """Judge a variable that make is given: it is expanded, and put into commands of a shell."""
    given = _VARIABLE.match(argument.value)
    for span in argument.doubtful if given is not None else ():
        if RECIPE.search(argument.value, span.start, span.end):
            words = "is expanded by make, or ends a command of its recipes"
            return Verdict(span.origin, words, FIX_MAKE)
    return None


def _subcommand(rest: Sequence[Argument]) -> str:
    """Return what git is to do, after options of its own: `git -C folder -c name=value grep`."""
    previous = ""
    for argument in rest:
        if previous not in programs.BEFORE_SUBCOMMAND and not argument.value.startswith("-"):
            return argument.value
        previous = argument.value
    return ""


def _is_option(name: str, value: str) -> bool:
    letters = programs.PLAIN_LETTERS.get(name, "")
    plain = name in programs.PLAIN_OUTPUT or not value[1:].strip(letters) or value == "--"
    return not plain and NUMBER.fullmatch(value) is None


def _takes(name: str, previous: str, before: str) -> bool:
    """Tell whether an option of a program takes what comes after these two arguments."""
    two = programs.TAKES_NAME_AND_VALUE.get(name, ())
    return previous in two or before in two or previous in programs.TAKES_VALUE.get(name, ())


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]{1,40}", name) else "the program"
