"""`IMPORT.md`: what was made, what is left, each with its place and the next step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from casemate.importing.outcome import Imported
from casemate.shown_text import in_markdown, on_one_line

PAGE_NAME = "IMPORT.md"
CLIENTS = (
    "Clients that are made at import (`sqs = boto3.client(...)`) go with their calls: at import "
    "there are no region, secrets and network."
)


def page_of(found: Imported) -> str:
    """Return the page."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Imported) -> Iterator[str]:
    yield f"# {found.project}: imported from {in_markdown(found.template)}"
    yield ""
    functions = "1 function" if len(found.functions) == 1 else f"{len(found.functions)} functions"
    files = "1 file" if found.files == 1 else f"{found.files} files"
    yield f"{functions} of {in_markdown(found.platform)}, {files}."
    yield "Places of code are those in the project, places of templates those in the application."
    yield from _section("Before the first deploy", _first(found), "Nothing.")
    yield from _section(
        "Calls that have to be changed",
        (
            f"- {_code(each.place)} {in_markdown(each.call)} → {_call(each.instead)}"
            for each in found.changes
        ),
        "None.",
    )
    if any(": " in each.call for each in found.changes):  # SERVICE: METHOD
        yield ""
        yield CLIENTS
    yield from _section(
        "What has no counterpart, or is for you to decide", _left(found), "Nothing."
    )
    yield from _section("Functions", _functions(found), "None.")
    yield ""
    before = "change the calls, then " if found.changes else ""
    yield f"Then: {before}`casemate audit .`, `casemate build`, `casemate deploy --approve`."


def _section(title: str, lines: Iterable[str], none: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    count = 0
    for line in lines:
        count += 1
        yield line
    if not count:
        yield none


def _first(found: Imported) -> Iterator[str]:
    for secret in found.secrets:
        yield f"- {_code(f'casemate secrets set {found.project}/{secret}')}: its value was left out"
    for each in found.opened:
        if each.accepted:
            what = "everybody may call it, which was accepted at the import"
        else:
            what = (
                "its template lets everybody call it, and it was written closed. Import again with "
                f"--accept-public {each.function}, or write public = true"
            )
        yield f"- {_code(each.place)} {in_markdown(each.function)}: {in_markdown(what)}"
    for left in found.left:
        if left.blocking:
            yield f"- {_code(left.place)} {in_markdown(left.what)}. Next: {_step(left.next)}"


def _left(found: Imported) -> Iterator[str]:
    for each in found.left:
        if not each.blocking:
            yield f"- {_code(each.place)} {in_markdown(each.what)}. Next: {_step(each.next)}"


def _functions(found: Imported) -> Iterator[str]:
    for each in found.functions:
        was = f"was {in_markdown(each.was)} ({_code(each.place)})"
        yield f"- {_code(each.name)}, {was}: {_code(each.handler)}"
        for word, values in (
            ("routes", each.routes),
            ("triggers", each.triggers),
            ("grants", each.grants),
            ("secrets", each.secrets),
        ):
            if values:
                yield f"  - {word}: {', '.join(map(_code, values))}"


def _step(text: str) -> str:
    """Return a next step: commands between backticks stay spans of code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return in_markdown(text)
    return "".join(_code(part) if at % 2 else in_markdown(part) for at, part in enumerate(parts))


def _call(instead: str) -> str:
    """Return a call as code, and what is said of it after it as text."""
    call, more, told = instead.partition("), ")
    return f"{_code(f'{call})')}, {in_markdown(told)}" if more else _code(instead)


def _code(text: object) -> str:
    """Return a span of code: nothing in it is markup, as long as no backtick ends it."""
    return f"`{on_one_line(str(text)).replace('`', chr(0x2019))}`"
