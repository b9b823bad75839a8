"""Files and objects that others run or read. By audit events: no event tells what is written.

So a file that has a kind is noted when it is opened to be written, and read before it is used.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from .. import aws_calls
from ..core import Guard, Place
from ..hooks import argument, wrap
from ..names import READS_ANSWER, READS_LINES, READS_TEXT
from ..pieces import as_text
from ..sink import Sink
from ..standing import is_put_together
from ..url import links
from ..written import by_look, files, kinds, shaped
from ..written.judgement import FILE, MAX_TEXT, Judge
from .command import judgement_of

NAME = FILE


def _shell(guard: Guard) -> Judge:
    return judgement_of(guard).line


_WRITTEN = files.Written(_shell)


def check_written(guard: Guard, place: Place | None = None) -> None:
    """Judge the files of an invocation whose handler has returned (BlockedError).

    `place` is the handler, where records say that it was.
    """
    files.check_at_end(guard, _WRITTEN, place)


def check_stored(guard: Guard, key: str, content: str | bytes, content_type: str) -> None:
    """Block an object (BlockedError) of a kind that the event has changed."""
    if not guard.active or not isinstance(content, (str, bytes)) or len(content) > MAX_TEXT:
        return
    text = as_text(content)
    kind = kinds.of_type(content_type) or kinds.of_name(key) or kinds.of_first_line(text)
    if kind is None and is_put_together(guard, content) and shaped.signs_of(text):
        kind = kinds.Kind.SHAPED
    if kind is not None and "\0" not in text[:1024]:
        files.check(guard, kind, text, [content], judgement_of(guard).line)


def _patch_zipfile(guard: Guard, module: ModuleType) -> None:
    """Watch members of archives that are written from memory."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        member = argument(arguments, named, 1, "zinfo_or_arcname")
        data = argument(arguments, named, 2, "data")
        name = getattr(member, "filename", member)
        if isinstance(name, str) and isinstance(data, (str, bytes)):
            check_stored(guard, name, data, "")

    wrap(module.ZipFile, "writestr", before)


@aws_calls.looking
def _sent(guard: Guard, service: str, operation: str, given: Mapping[str, Any]) -> None:
    """Judge objects that are put into S3, and pages that SES sends."""
    if service == "s3" and operation == "PutObject":
        if isinstance(given.get("Body"), (str, bytes)):
            kind = str(given.get("ContentType") or "")
            check_stored(guard, str(given.get("Key", "")), given["Body"], kind)
    elif service in ("ses", "sesv2") and operation == "SendEmail":
        content = given.get("Content") or {}
        for message in (given.get("Message"), content.get("Simple")):
            page = ((message or {}).get("Body") or {}).get("Html") or {}
            check_stored(guard, "", page.get("Data", ""), "text/html")


def _patch_mail(guard: Guard, module: ModuleType) -> None:
    """Watch the parts of mails that are pages, and the links in all."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        text = argument(arguments, named, 1, "obj", "_text")
        kind = argument(arguments, named, 2, "subtype", "_subtype")
        links.check(guard, NAME, text)
        if isinstance(text, str) and kind in ("html", "xhtml+xml") and guard.active:
            files.check(guard, kinds.Kind.PAGE, text, [text], judgement_of(guard).line)

    if hasattr(module, "MIMEText"):
        wrap(module.MIMEText, "__init__", before)
    else:
        wrap(module.MIMEPart, "set_content", before)


SINK = Sink(
    name=NAME,
    summary="Scripts, settings, pages that are written for others: data is no syntax of theirs.",
    patches={
        "pathlib": _WRITTEN.patch_pathlib,
        "zipfile": _patch_zipfile,
        "botocore.client": aws_calls.patch,
        "email.message": _patch_mail,
        "email.mime.text": _patch_mail,
    },
    calls={
        "write": _WRITTEN.wrote,
        "print": _WRITTEN.printed,
        **dict.fromkeys((READS_ANSWER, READS_TEXT), functools.partial(by_look.read, _shell)),
        READS_LINES: functools.partial(by_look.read_written, _shell),
    },
    audit={
        "open": _WRITTEN.opened,
        "os.rename": _WRITTEN.moved,
        "os.remove": _WRITTEN.removed,
        "shutil.rmtree": _WRITTEN.removed_all,
        "subprocess.Popen": _WRITTEN.started,
        "os.system": _WRITTEN.started,
        "os.exec": _WRITTEN.started,
        "os.posix_spawn": _WRITTEN.started,
    },
)
