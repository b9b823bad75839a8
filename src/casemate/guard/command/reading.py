"""What programs read that is more than data: code in files and on standard input, arguments."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator, Sequence

from ..origin import Span
from ..sql import structure
from ..sql.tokens import Dialect, tokenize
from ..verdict import Verdict
from ..written.heads import judge_head
from ..written.kinds import of_program
from ..written.languages import LANGUAGES
from ..written.languages import judge_code as judge_script
from ..written.lines import BREAKS, before_in_line, doubtful, is_whole
from . import programs
from .arguments import Argument
from .shell import Kind, Line

_PYTHON = frozenset(("python", "pypy"))
_SQL = {
    "psql": Dialect.POSTGRESQL,
    "mysql": Dialect.MYSQL,
    "mariadb": Dialect.MYSQL,
    "sqlite3": Dialect.SQLITE,
}
_CALCULATORS = frozenset(("bc", "dc", "gnuplot", "ed", "ftp", "sftp", "at", "batch", "crontab"))
INTERPRETERS = frozenset(
    {*programs.CODE_OPTIONS, *_CALCULATORS} - {"sed", "awk", "gawk", "ffmpeg", "git", "vim"}
)
"""Programs that run what they read if they are given nothing else."""
_SHEBANG = re.compile(r"#![ \t]*(?:\S*/)?env[ \t]+(?:-S[ \t]+)?(\S+)|#![ \t]*(\S+)")
_PLAIN_CODE = re.compile(r"[\w .,:@%+-]*")
_TAKES_ARGUMENT = ("-I", "-n", "-P", "-L", "-d", "-a", "-s", "-E", "-i")
_MAX_LINES = 1000
_EVALUATES = re.compile(r"\beval[ \t]")
_PARAMETER = re.compile(
    r"^[ \t]{0,8}(?:local )?([A-Za-z_]\w{0,63})=\"?\$\{?([1-9])\}?\"?$", re.MULTILINE
)
_MAX_SCRIPT = 64 * 1024
_OPTIONS = re.compile(
    r"\bgetopts?\b|-\*[ \t]{0,8}\)|--?[A-Za-z][\w-]{0,40}=?\*?[\"']?[ \t]{0,8}[|)]"
)
"""How a script tells options from other arguments, in a `case` or by a program."""
_SUM = re.compile(
    r"(?:[\d .+*/()%<>=!-]|(?:sqrt|length|scale)\(){1,200}+"
    r"(?:\^ ?\d{1,2}(?!\d)[\d .+*/()%<>=!-]{0,200}+)?"
)
"""A sum for bc, of numbers alone, with one power that takes no time."""
_INSERTS = re.compile(r"[0-9.$,]{0,20}[aic]")
"""A command of ed's after which text comes, until a line with a dot alone."""
_SHOWS = re.compile(
    r"\.(?:headers?|separator|mode|width|nullvalue|echo|timer|changes|bail|print|prompt)[ \t]"
)
"""Commands of SQLite's shell that open and run nothing."""
_MAX_LINE = 4096
"""Characters of a line of curl's that are looked at before data."""
_READS = re.compile(r"\bread\b(?:[ \t]+-[A-Za-z]+)*+((?:[ \t]+[A-Za-z_]\w*)+)")
_CONFIGURED = re.compile(r"(?:^| )(?:-[A-Za-z]{0,9}K ?|--config[ =])-(?: |$)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+("?)', re.DOTALL)
_INSIDE_QUOTED = re.compile(r'(?:[^"\\\r\n]|\\[^rn\r\n])*+')
"""What stays within double quotes, and is no line break once it is read."""
_FIX_READ = (
    "hand the value over as an argument or a file that the code reads, not as part of the code"
)
_FIX_ITEMS = (
    'give the arguments as a list, without xargs: subprocess.run(["rm", "--", *names]); or '
    'separate them by null bytes (xargs -0) after "--"'
)

JudgeText = Callable[[str, Sequence[Span]], "Verdict | None"]
JudgeArguments = Callable[[Sequence[Argument]], "Verdict | None"]


def interpreter_of(name: str, script: str) -> str:
    """Return what runs a script: what was called, or what its first line names."""
    if name in programs.SHELLS or name in INTERPRETERS:
        return name
    found = _SHEBANG.match(script[:200])
    return programs.base_name(found[1] or found[2]) if found else "sh"


def judge_code(
    name: str, text: str, spans: Sequence[Span], line: JudgeText, python: JudgeText
) -> Verdict | None:
    """Judge code by the program that runs it; a language that is not known may hold words."""
    if name in programs.SHELLS or name in programs.REMOTE:
        return line(text, spans)
    if name in _PYTHON:
        return python(text, spans)
    if name in _SQL:
        dialect = _SQL[name]
        sqlite = dialect is Dialect.SQLITE
        return _sqlite(text, spans) if sqlite else structure.judge(text, spans, (dialect,))
    kind = of_program(name)
    if kind in LANGUAGES:
        return judge_script(kind, text, [s._replace(exact=False) for s in spans])
    for span in spans:
        checked = span.vouched or (name == "bc" and _SUM.fullmatch(text, span.start, span.end))
        checked = checked or (name == "ed" and _is_inserted(text, span))
        # To ed a dot alone is code.
        dot = name == "ed" and text[span.start : span.end].strip() == "."
        if not checked and (dot or not _PLAIN_CODE.fullmatch(text, span.start, span.end)):
            return Verdict(span.origin, "is part of a program's code", _FIX_READ)
    return None


def _is_inserted(text: str, span: Span) -> bool:
    """Tell whether data is text that ed was told to put in, and does not end it by a dot."""
    inserting = False
    place = 0
    for line in text.split("\n"):
        end = place + len(line)
        if end >= span.start and not inserting:
            return False
        if place >= span.end:
            break
        if inserting:
            # A line that data is in may be no dot, whatever of it is data.
            if line.strip() == "." and end >= span.start:
                return False
            inserting = line != "."
        else:
            inserting = _INSERTS.fullmatch(line) is not None
        place = end + 1
    return inserting


def _sqlite(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge a script of SQLite's shell: its lines that begin with a dot are no SQL."""
    rest, place, last = list[str](), 0, ";"
    dotted: list[tuple[int, int]] = []
    for line in text.splitlines(keepends=True):
        code = line.rstrip()
        if last == ";" and code.startswith("."):
            dotted.append((place, place + len(line)))
            rest.append(" " * len(line))
        else:
            rest.append(line)
            last = code[-1:] or last
        place += len(line)
    inside: list[Span] = []
    for span in spans:
        at = bisect.bisect_left(dotted, (span.end,)) - 1
        if at < 0 or dotted[at][1] <= span.start:
            inside.append(span)
        elif not span.vouched and not _is_shown(text, span, dotted[at]):
            return Verdict(span.origin, "is part of a command of sqlite3", _FIX_READ)
    return _by_statement("".join(rest), inside)


def _is_shown(text: str, span: Span, line: tuple[int, int]) -> bool:
    """Tell whether data is in one dot command that only says how rows are shown."""
    command = _SHOWS.match(text, line[0])
    return (
        command is not None
        and command.end() <= span.start
        and span.end <= line[1]
        and BREAKS.search(text, span.start, span.end) is None
    )


def _by_statement(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge a script; what only orders rows by the statement of the code that it is in."""
    verdict = structure.judge(text, spans, (Dialect.SQLITE,)) if spans else None
    if verdict is None or len(spans) > _MAX_LINES:
        return verdict
    starts = [s.start for s in spans]
    ends = [
        t.end
        for t in tokenize(text, Dialect.SQLITE)
        if text[t.start : t.end] == ";" and not _covers(spans, starts, t.start)
    ]
    place = at = 0
    for end in (*ends, len(text)):
        begin = place + len(text[place:end]) - len(text[place:end].lstrip())
        last = bisect.bisect_left(starts, end)
        moved = [s.moved(-begin) for s in spans[at:last]]
        again = structure.judge(text[begin:end], moved, (Dialect.SQLITE,)) if moved else None
        if again is not None:
            return again
        place, at = end, last
    return None


def _covers(spans: Sequence[Span], starts: Sequence[int], place: int) -> bool:
    at = bisect.bisect_right(starts, place) - 1
    return at >= 0 and place < spans[at].end


def reads_code(name: str, rest: Sequence[str]) -> bool:
    """Tell whether a program that is given these arguments runs what it reads."""
    if name in programs.SHELLS:
        return "-s" in rest or not any(not v.startswith("-") or v == "-c" for v in rest)
    if name in programs.REMOTE:
        return len([v for v in rest if not v.startswith("-")]) == 1
    if name in _SQL:
        options = programs.SQL_OPTIONS.get(name, ())
        return not any(value in options or value == "-f" for value in rest)
    if name not in INTERPRETERS:
        return False
    given = programs.CODE_OPTIONS.get(name, ())
    operands = [v for v in rest if not v.startswith("-") or v in given or v == "-m"]
    return name in _CALCULATORS or not operands


def judge_items(
    rest: Sequence[Argument], text: str, spans: Sequence[Span], judged: JudgeArguments
) -> Verdict | None:
    """Judge what xargs reads: each line is an argument of the program that it runs."""
    number = 0
    options: list[str] = []
    while number < len(rest) and rest[number].value.startswith("-"):
        options.append(rest[number].value)
        number += 2 if rest[number].value in _TAKES_ARGUMENT else 1
    command = list(rest[number:]) or [Argument("echo")]
    null = any(o in ("-0", "--null") for o in options)
    lines = null or any(o[:2] in ("-I", "-d", "-i") for o in options)
    begun = rest[:number]
    mark = next(
        (_mark(o.value, rest[n + 1 :]) for n, o in enumerate(begun) if o.value[:2] == "-I"), ""
    )
    for item in items(text, spans, "\0" if null else "\n"):
        for span in item.doubtful:
            part = item.value[span.start : span.end]
            if not lines and re.search(r"[\s'\"\\]", part):
                return Verdict(span.origin, "becomes more than one argument", _FIX_ITEMS)
        verdict = judged(_with(command, mark, item))
        if verdict is not None:
            return verdict
    return None


def _mark(option: str, after: Sequence[Argument]) -> str:
    return option[2:] or (after[0].value if after else "")


def _with(command: Sequence[Argument], mark: str, item: Argument) -> list[Argument]:
    if not mark:
        return [*command, item]
    found: list[Argument] = []
    for argument in command:
        before, seen, after = argument.value.partition(mark)
        if not seen:
            found.append(argument)
            continue
        spans = [span.moved(len(before)) for span in item.spans]
        found.append(Argument(before + item.value + after, spans))
    return found


def items(text: str, spans: Sequence[Span], separator: str) -> Iterator[Argument]:
    """Yield the parts that hold something from outside. At most so many: ValueError beyond."""
    place = number = 0
    for line in text.split(separator):
        end = place + len(line)
        inside = [
            s._replace(start=max(s.start, place) - place, end=min(s.end, end) - place)
            for s in spans
            if s.start < end and s.end > place
        ]
        if inside:
            number += 1
            if number > _MAX_LINES:
                raise ValueError(f"more than {_MAX_LINES} items come from outside")
            yield Argument(line, inside)
        place = end + len(separator)


def names_read(script: str) -> list[str]:
    """Return the variables that a script reads from its input, if it runs any by `eval`."""
    if "eval" not in script:
        return []
    return [name for found in _READS.finditer(script) for name in found[1].split()]


def takes_options(path: str) -> bool:
    """Tell whether a script of a shell reads options among what it is given."""
    text = _script(path)
    return text is None or _OPTIONS.search(text) is not None


def parameters_of(path: str, given: Sequence[Argument]) -> tuple[str, dict[str, Argument]] | None:
    """Return a script that evaluates something, and what its variables hold of what it is given."""
    text = _script(path)
    if text is None or _EVALUATES.search(text) is None:
        return None
    named = [(m[1], int(m[2]) - 1) for m in _PARAMETER.finditer(text)]
    return text, {n: given[at] for n, at in named if at < len(given) and given[at].doubtful}


def _script(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as script:
            return script.read(_MAX_SCRIPT)
    except (OSError, ValueError):
        return None


def in_quotes(before: str) -> bool:
    """Tell whether a text, in which a backslash escapes, ends within double quotes."""
    closings = [found[1] for found in _QUOTED.finditer(before)]
    return bool(closings) and not closings[-1]


def judge_settings(
    name: str, rest: Sequence[str], text: str, spans: Sequence[Span]
) -> Verdict | None:
    """Judge what curl and programs that send mail are told on their standard input."""
    if name in programs.MAILERS:
        return judge_head(text, spans)
    if name != "curl" or not _CONFIGURED.search(" ".join(rest)):
        return None
    if is_whole(text, spans):
        return None
    for span in doubtful(spans):
        before = before_in_line(text, span, _MAX_LINE)
        if in_quotes(before):
            escaped = (len(before) - len(before.rstrip("\\"))) % 2
            ends = _INSIDE_QUOTED.fullmatch(text, span.start - escaped, span.end) is None
        else:
            ends = BREAKS.search(text, span.start, span.end) is not None
        if ends:
            return Verdict(span.origin, "ends its value in a configuration of curl", _FIX_READ)
    return None


def redirected(text: str, line: Line) -> Iterator[tuple[int, str]]:
    """Yield which commands of a line read a file, by their places in `line.commands`, and which."""
    reads = [m for m in line.marks if m.kind is Kind.REDIRECTION and text[m.start : m.end] == "<"]
    for mark in reads:
        path = next((w.value for w in line.targets if w.start >= mark.end), "")
        before = [n for n, c in enumerate(line.commands) if c and c[0].start < mark.start]
        if path and before:
            yield before[-1], path


def piped(line: Line) -> Iterator[tuple[int, int]]:
    """Yield which commands of a line read what which others write: places in `line.commands`."""
    pipes = [m for m in line.marks if m.kind is Kind.OPERATOR]
    for number in range(len(line.commands) - 1):
        end, start = line.commands[number][-1].end, line.commands[number + 1][0].start
        between = [m for m in pipes if end <= m.start < start]
        if len(between) == 1 and between[0].end - between[0].start <= len("|&"):
            yield number, number + 1
