"""Code that is an argument: of sed, awk and jq by what is seen of it, else by its literals."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence

from ..origin import Span
from ..quoted import OPERATOR, STRING, WORD, Token, tokenize
from ..spans import neutral
from ..verdict import Verdict
from ..written.kinds import Kind, of_program
from ..written.languages import LANGUAGES, judge_code
from .arguments import Argument
from .programs import AWKS
from .reading import in_quotes

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_PLAIN_CODE = re.compile(r"[\w .,:@%+-]*")
_SUBSTITUTION = re.compile(
    r"s(?P<sign>[/|,#@!:~])(?P<old>(?:(?!(?P=sign))[^\\\n]|\\[^\w\n]|\\n)*+)(?P=sign)"
    r"(?P<new>(?:(?!(?P=sign))[^\\\n]|\\[^\w\n])*+)(?P=sign)[gpiI0-9]*+"
)
"""One command of sed that puts one text in the place of another, by its usual signs."""
_BETWEEN_COMMANDS = re.compile(r"[ \t]*+(?:[;\n][;\s]*+|$)")
_MAX_COMMANDS = 256
_ADDED = re.compile(r"(?:[\d$]{1,10}(?:,[\d$]{1,10})?|/[\w .:-]{1,80}/)?[ \t]{0,8}[aic][ \t]{0,80}")
"""How a line of sed begins that adds the rest of it, or the next line, to what is read."""
_JQ = frozenset(("jq", "yq"))
_JQ_STEPS = re.compile(r"[A-Za-z_]\w{0,63}(?:\[\d{1,6}\]|\.[A-Za-z_]\w{0,63}){0,16}")
"""What may come after a dot of jq: keys and places, one after the other."""
_KEY = re.compile(r"[A-Za-z_]\w{0,63}")
_ESCAPED = re.compile(r"\\.")
_WHOLE_LITERAL = re.compile(r'"[^"\n]*+"')
_INSIDE_LITERAL = re.compile(r'(?:[^"\\\n]|\\[^"\n])*+')
_ESCAPED_SIGN = re.compile(r"\\(?:[^\w\n]|n)")
_ACTS = re.compile(r"[|@]|\b(?:system|getline)\b")
"""In awk: what runs a text as a command, opens a file by it, or calls the function of its name."""
_COMPARING = re.compile(r"[<>]=?|[=!]=")
_PRINTS = re.compile(r"\bprint")
"""In awk: only after it is `>` a file; before, it compares."""
_BY_LITERALS = frozenset((Kind.JAVASCRIPT, Kind.PERL, Kind.RUBY, Kind.PHP, Kind.LUA))
_MAX_CODE = 4096
"""Characters of code in whose literals data may stand."""
_RUNS_TEXT = re.compile(
    r"(?i:exec|eval|system|spawn|popen|open|require|import|include|function|child_process|load"
    r"|\brun|command|preg_|passthru|assert|constant|instance_|send|timeout|interval|read"
    r"|(?<!stdout\.)write|fetch|unlink|file|fs\b"
    r"|_get|regexp|match|call|apply|sql|query|prepare|html|pack|glob|\bdo\b|\bvm\b)"
)
"""In code: what may do more with a text than show, compare or keep it."""
_OPENS_OTHERWISE = frozenset(("q", "qq", "qw", "qr", "qx", "m", "s", "y", "tr"))
"""Words of Perl after which any sign opens a literal."""
_FIX_CODE = (
    "hand the value over as an argument that the code reads (sys.argv, $1, --arg), not as part of "
    "the code"
)


def _is_substituted(value: str, span: Span) -> bool:
    """Tell whether data is inside the pattern or the replacement of sed's `s`, and stays there.

    All commands are such ones, one after the other: then each begins where the code has it begin.
    """
    commands = list(_substitutions(value))
    one = next((m for m in commands if m.start() <= span.start < m.end()), None)
    if one is None or span.start < one.start("old") or span.end > one.end("new"):
        return False
    ends = span.start <= one.end("old") < span.end
    part = value[span.start : span.end]
    begun = one.start("new" if span.start >= one.start("new") else "old")
    before = value[begun : span.start]
    part = _ESCAPED_SIGN.sub("", part if _ESCAPED_SIGN.sub("", before)[-1:] != "\\" else "\\")
    return not ends and not {one["sign"], "\\", "\n"} & set(part)


def _substitutions(value: str) -> Iterator[re.Match[str]]:
    """Yield the commands of a script that only puts texts in the place of others."""
    found: list[re.Match[str]] = []
    place = 0
    while place < len(value):
        one = _SUBSTITUTION.match(value, place)
        after = _BETWEEN_COMMANDS.match(value, one.end()) if one is not None else None
        if one is None or after is None or len(found) >= _MAX_COMMANDS:
            return
        found.append(one)
        place = after.end()
    yield from found


def _is_added(value: str, span: Span) -> bool:
    """Tell whether data is in one line of text that sed adds, behind which commands go on."""
    begins = value.rfind("\n", 0, span.start) + 1
    line, before = value[begins : span.start], value[:begins]
    # What is in the line before may go on in this one, as the text that it begins does.
    if before.endswith("\\\n"):
        added = _ADDED.fullmatch(before[:-2])
    else:
        added = _ADDED.match(line) if not before else None
        line = line[added.end() :] if added is not None else line
    text = line + value[span.start : span.end]
    return added is not None and not {"\\", "\n", "\r"} & set(text)


def _in_literal(value: str, span: Span) -> bool:
    """Tell whether data is inside a literal of awk that is only text, and stays there."""
    code = value[: span.start] + " " + value[span.end :]
    if not {"/", "#"} & set(code):
        # What is in texts of the program's own does nothing by itself.
        code = _WHOLE_LITERAL.sub('""', _ESCAPED.sub("", code))
    prints = _PRINTS.search(code)
    if _ACTS.search(code) or (prints is not None and ">" in code[prints.start() :]):
        return False
    before = _WHOLE_LITERAL.sub("", _ESCAPED.sub("", value[: span.start]))
    # What has a pattern or a comment in it is not read here.
    opened = before.count('"') == 1 and not {"/", "#"} & set(before.partition('"')[0])
    return opened and "\\" not in before and _is_inside(value, span)


def _compares(value: str, span: Span) -> bool:
    """Tell whether data is a sign by which a rule of awk's compares, before what it does."""
    before = value[: span.start]
    return _COMPARING.fullmatch(value, span.start, span.end) is not None and not (
        "{" in before or '"' in before or "getline" in value
    )


def _is_inside(value: str, span: Span) -> bool:
    """Tell whether data ends no literal of awk: its backslashes have their signs with them."""
    return _INSIDE_LITERAL.fullmatch(value, span.start, span.end) is not None


def _stays_text(argument: Argument, name: str) -> bool:
    """Tell whether all data is inside literals of a known language, in code that shows texts.

    Not where a text may be run, opened or read as a pattern, nor where literals may begin by other
    signs than quotes: by `/`, `%q`, `<<`.
    """
    kind = of_program(name) or (Kind.JAVASCRIPT if name == "bun" else None)
    value = argument.value
    spans = [s for s in argument.doubtful if not NUMBER.fullmatch(value, s.start, s.end)]
    if kind not in _BY_LITERALS or len(value) > _MAX_CODE:
        return False
    code = neutral(value, spans)
    if _RUNS_TEXT.search(code) or "`" in code:
        return False
    found = tokenize(code, LANGUAGES[kind])
    if any(_opens_otherwise(code, token) for token in found):
        return False
    literals = [(start, end) for sort, start, end in found if sort == STRING]
    return _are_inside(spans, literals) and judge_code(kind, value, spans) is None


def _opens_otherwise(code: str, token: Token) -> bool:
    """Tell whether a token may begin a literal that quotes do not."""
    sort, start, end = token
    if sort == WORD:
        return code[start:end].lstrip("$@%") in _OPENS_OTHERWISE
    if sort == STRING:
        return code[start] not in "'\"" or code[start - 1 : start] == "$"
    return sort == OPERATOR and code[start:end] in "/%<?$@#"


def _are_inside(spans: Sequence[Span], literals: Sequence[tuple[int, int]]) -> bool:
    for span in spans:
        at = bisect.bisect_left(literals, (span.start, 0)) - 1
        if at < 0 or span.end >= literals[at][1]:
            return False
    return True


def _is_jq(value: str, span: Span) -> bool:
    """Tell whether data is in a text of jq's, keys after a dot, one of an object, or a number."""
    before = value[: span.start]
    if "#" in before or span.start > _MAX_CODE:
        return False
    part = value[span.start : span.end]
    if in_quotes(before):
        return not {'"', "\\"} & set(part)
    if NUMBER.fullmatch(part) or _is_step(value, span) or not span.exact:
        return True
    key = before.rstrip()[-1:] in ("{", ",") and value[span.end :].lstrip()[:1] in (",", "}")
    return key and before.count("{") > before.count("}") and _KEY.fullmatch(part) is not None


def _is_step(value: str, span: Span) -> bool:
    """Tell whether data is keys and places after a dot of jq's, outside of its texts."""
    before = value[: span.start]
    after_dot = before.endswith(".") and before.count('"') % 2 == 0 and "\\" not in before
    return after_dot and _JQ_STEPS.fullmatch(value, span.start, span.end) is not None


def in_file(text: str, spans: Sequence[Span], name: str) -> Verdict | None:
    """Judge code of a file: data is in one line of it, and begins none of sed's."""
    for span in Argument(text, spans).doubtful:
        begins = text.rfind("\n", 0, span.start) + 1
        ends = text.find("\n", begins)
        line = text[begins : ends if ends >= 0 else len(text)]
        inside = span._replace(start=span.start - begins, end=span.end - begins)
        leaves = span.end > begins + len(line)
        if leaves or (name == "sed" and not line[: inside.start].strip()):
            return Verdict(span.origin, "is part of a program's code", _FIX_CODE)
        verdict = plain(Argument(line, [inside]), name)
        if verdict is not None:
            return verdict
    return None


def plain(argument: Argument, name: str) -> Verdict | None:
    """Judge code that is an argument: data may be words in it, and text in its literals."""
    if argument.doubtful and _stays_text(argument, name):
        return None
    for span in argument.doubtful:
        if name == "sed" and (
            _is_substituted(argument.value, span) or _is_added(argument.value, span)
        ):
            continue
        if name in AWKS and (_in_literal(argument.value, span) or _compares(argument.value, span)):
            continue
        if name in _JQ:
            if not _is_jq(argument.value, span):
                return Verdict(span.origin, "is part of a program's code", _FIX_CODE)
            continue
        if NUMBER.fullmatch(argument.value) is not None:
            continue
        if _PLAIN_CODE.fullmatch(argument.value, span.start, span.end) is None or (
            span.start == 0 and span.end == len(argument.value) and span.exact
        ):
            return Verdict(span.origin, "is part of a program's code", _FIX_CODE)
    return None
