"""Variables that awk is given as options, and puts into commands of a shell.

A program's `system(x)`, `x | getline` and `print y | x` run `x` by a shell (POSIX awk).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..origin import Span
from ..verdict import Verdict
from .arguments import Argument

MAX_PROGRAM = 16 * 1024
"""Characters of a program that is read."""
_MAX_COMMANDS = 50
_WITH_VALUE = frozenset(("-v", "-F", "-f", "-e", "--assign", "--field-separator", "--source"))
_SOURCE = ("--source=", "-e")
_ASSIGNED = re.compile(r"(?:-v|--assign=)?([A-Za-z_]\w{0,63})=")
_TOKEN = re.compile(r'#[^\n]*+|"(?:[^"\\]|\\.)*+"?|\$?\w++|\|\||[^\w\s"]|\n', re.DOTALL)
_PATTERN = re.compile(r"/(?:[^/\\\[\n]|\\.|\[\^?\]?[^\]\n]{0,256}+\])*+/")
_BEFORE_PATTERN = frozenset(("print", "printf", "return", "in", "case", "else", "do"))
_ENDS = frozenset((";", "{", "}", "\n"))
_SHELL_SIGNS = re.compile(r"[^\w.,:@%+=/ -]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_FIX = (
    "have the program of awk print what is to be done, and run it by a list of arguments in "
    "Python; or check the value by a pattern before awk is given it"
)
JudgeLine = Callable[[str, Sequence[Span]], "Verdict | None"]


def judge(rest: Sequence[Argument], line: JudgeLine) -> Verdict | None:
    """Return a verdict if a value that awk is given changes a command that its program runs.

    Raises ValueError if the program is too long to be read, or broken.
    """
    given = dict(_assigned(rest))
    program = _program(rest) if given else ""
    if len(program) > MAX_PROGRAM:
        raise ValueError(f"a program of awk has more than {MAX_PROGRAM} characters")
    for number, command in enumerate(_commands(_tokens(program))):
        if number >= _MAX_COMMANDS:
            raise ValueError(f"awk runs more than {_MAX_COMMANDS} commands")
        verdict = _judged(command, given, line)
        if verdict is not None:
            return verdict
    return None


def _assigned(rest: Sequence[Argument]) -> Iterator[tuple[str, Argument]]:
    """Yield variables that are set by options, and what of their values is from outside."""
    previous = ""
    for argument in rest:
        attached = argument.value.startswith(("-v", "--assign="))
        name = _ASSIGNED.match(argument.value)
        if name is not None and argument.doubtful and (attached or previous in ("-v", "--assign")):
            cut = name.end()
            spans = [s.moved(-cut) for s in argument.doubtful if s.start >= cut]
            yield name[1], Argument(argument.value[cut:], spans, argument.known)
        previous = argument.value


def _program(rest: Sequence[Argument]) -> str:
    """Return the program: all that options bring of it, else the first word that is none."""
    previous, operand = "", None
    sources = list[str]()
    for argument in rest:
        value = argument.value
        if previous in ("-e", "--source"):
            sources.append(value)
        elif value.startswith(_SOURCE) and value not in _WITH_VALUE:
            sources.append(value.removeprefix("--source=" if value[1] == "-" else "-e"))
        elif operand is None and not value.startswith("-") and previous not in _WITH_VALUE:
            operand = value
        previous = value
    return "\n".join(sources) or operand or ""


def _tokens(program: str) -> list[str]:
    """Return a program's tokens, without its comments and patterns, whose signs are no code.

    Raises ValueError for a pattern that does not end: each slash after it would look for its end.
    """
    tokens = list[str]()
    at = 0
    while at < len(program):
        # A slash divides after what has a value, and begins a pattern elsewhere.
        if program[at] == "/" and not _has_value(tokens):
            found = _PATTERN.match(program, at)
            if found is None:
                raise ValueError("a pattern in a program of awk does not end")
            tokens.append("/")
        else:
            found = _TOKEN.match(program, at)
            if found is not None and not found[0].startswith("#"):
                tokens.append(found[0])
        at = found.end() if found is not None else at + 1
    return tokens


def _has_value(tokens: Sequence[str]) -> bool:
    """Tell whether the last token ends what has a value, by which a slash divides."""
    if not tokens or tokens[-1] in _BEFORE_PATTERN:
        return False
    last = tokens[-1][-1]
    return last.isalnum() or last in '_)]"' or list(tokens[-2:]) in (["+", "+"], ["-", "-"])


def _commands(tokens: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the expressions of a program that a shell runs."""
    begun = 0
    for number, sign in enumerate(tokens):
        if sign in _ENDS:
            begun = number + 1
        elif sign == "system":
            yield tokens[number + 1 : _end(tokens, number + 1)]
        elif sign == "|" and tokens[number + 1 : number + 2] == ["getline"]:
            yield tokens[begun:number]
        elif sign == "|":
            yield tokens[number + 1 : _end(tokens, number + 1)]


def _end(tokens: Sequence[str], start: int) -> int:
    """Return where a statement, or what stands within brackets, ends."""
    depth = 0
    for number in range(start, len(tokens)):
        sign = tokens[number]
        if sign in _ENDS:
            return number
        depth += (sign == "(") - (sign == ")")
        if sign == ")" and depth <= 0:
            return number + 1
    return len(tokens)


def _judged(
    command: Sequence[str], given: Mapping[str, Argument], line: JudgeLine
) -> Verdict | None:
    """Judge a command that awk puts together of texts of its own and of variables."""
    text, spans = "", list[Span]()
    plain, elsewhere = True, False
    for sign in command:
        value = given.get(sign)
        if sign.startswith('"'):
            text += _ESCAPE.sub(r"\1", sign[1:-1])
        elif value is not None:
            spans += [span.moved(len(text)) for span in value.spans]
            text += value.value
            plain = plain and "\\" not in value.value  # awk reads escapes in it
        elif sign[-1].isalnum() or sign[-1] == "_":
            text += "x"
            elsewhere = elsewhere or not (sign.startswith("$") or sign.isdigit())
        else:
            plain = plain and sign in ("(", ")")
    if plain and not elsewhere:
        return line(text, spans) if spans else None
    # What stands where is not known: more than text may end what it is put into.
    for value in given.values() if elsewhere else [Argument(text, spans)]:
        for span in value.spans:
            if _SHELL_SIGNS.search(value.value, span.start, span.end):
                return Verdict(span.origin, "is part of a command that awk has a shell run", _FIX)
    return None
