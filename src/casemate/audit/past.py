"""What a repository held before: texts of files in its history, and at one revision.

Bounded in commits, bytes and time; what is left out is noted. See `repository` for what a hostile
repository can do: nothing of it is run.
"""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from casemate.audit.limits import MAX_CODE_BYTES, MIB
from casemate.audit.repository import Answer, GitError, ask
from casemate.audit.workspace import Workspace

MAX_HISTORY_BYTES = 64 * MIB
"""Of texts that are searched."""
MAX_HISTORY_SECONDS = 10.0
MAX_HISTORY_FILES = 20_000
"""Versions of files."""
_CHUNK = 8 * MIB
_CHANGE = re.compile(r":[0-7]{6} (?P<mode>[0-7]{6}) [0-9a-f]{40,64} (?P<id>[0-9a-f]{40,64}) \w+")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_IS_FILE = ("100644", "100755", "100664")


class Version(NamedTuple):
    """A file as it was in a commit."""

    file: str
    """Relative to what is audited."""
    commit: str
    """The oldest of those that were looked at in which it came to be so."""
    text: str
    kept: bool
    """True if the newest commit still has it."""


class _Seen(NamedTuple):
    file: str
    commit: str


class Past:
    """The history of the repository that a workspace is in."""

    def __init__(self, workspace: Workspace, *, commits: int = 0, since: str | None = None) -> None:
        """Look at so many commits; `since` a revision only at those that came after it."""
        self._workspace = workspace
        self._commits = commits
        self._since = since
        self._only = workspace.single or "."

    def before(self, wanted: Callable[[str], bool]) -> Mapping[str, str] | None:
        """Return the texts of files as they were at the revision; None if none is asked for."""
        if self._since is None:
            return None
        listed = self._ask("ls-tree", "-r", "-z", "--end-of-options", self._since, "--", ".")
        ids: dict[str, str] = {}
        for entry in listed.names:
            meta, _, name = entry.partition("\t")
            mode, _, rest = meta.partition(" ")
            if mode in _IS_FILE and wanted(name):
                ids[name] = rest.rpartition(" ")[2]
        texts = dict(self._texts(list(dict.fromkeys(ids.values())), self._late_after()))
        return {name: texts[each] for name, each in ids.items() if each in texts}

    def versions(self, wanted: Callable[[str], bool]) -> Iterator[Version]:
        """Yield each version of the files that are wanted, once."""
        if self._commits <= 0:
            return
        late = self._late_after()
        try:
            seen = self._seen(wanted, late)
            if not seen:
                return
            now = {entry.partition("\t")[0].rpartition(" ")[2] for entry in self._tree(late)}
            for each, text in self._texts(list(seen), late):
                yield Version(seen[each].file, seen[each].commit, text, each in now)
        except GitError as error:
            if "not a git repository" not in error.message:
                self._note(f"the history is not searched: {error.message}")

    def _late_after(self) -> float:
        return time.monotonic() + MAX_HISTORY_SECONDS

    def _seen(self, wanted: Callable[[str], bool], late: float) -> dict[str, _Seen]:
        """Return the versions of files by their ids, the newest first."""
        which = ["--all"] if self._since is None else [f"{self._since}..HEAD"]
        most = f"--max-count={self._commits + 1}"
        listed = self._ask("rev-list", most, *which, "--", late=late).data.split()
        if not listed:
            return {}
        if len(listed) > self._commits:
            self._note(f"only the newest {self._commits} commits are searched for secrets")
        if self._ask("rev-parse", "--is-shallow-repository", late=late).data.strip() == b"true":
            self._note("the clone is shallow: older commits are missing and cannot be searched")
        commits = b"\n".join(listed[: self._commits]) + b"\n"
        shown = ("--raw", "-r", "-z", "--no-abbrev", "--no-renames", "--root", "--relative")
        safe = ("--no-ext-diff", "--no-textconv", "--diff-filter=d", "--diff-merges=first-parent")
        changes = ("diff-tree", "--stdin", *shown, *safe, "--", self._only)
        return self._changed(self._ask(*changes, given=commits, late=late), wanted)

    def _changed(self, answer: Answer, wanted: Callable[[str], bool]) -> dict[str, _Seen]:
        seen: dict[str, _Seen] = {}
        commit, change = "", None
        if not answer.whole:
            self._note("the history has more changes than are searched: the rest is left out")
        for part in answer.names:
            if change is not None:
                each, change = change, None
                known = each["id"] in seen
                if each["mode"] not in _IS_FILE or not wanted(part):
                    continue
                if not known and len(seen) >= MAX_HISTORY_FILES:
                    self._note(f"only {MAX_HISTORY_FILES} versions of files are searched")
                    break
                seen[each["id"]] = _Seen(part, commit)
            elif part.startswith(":"):
                change = _CHANGE.fullmatch(part)
            elif _COMMIT.fullmatch(part.strip()):
                commit = part.strip()
        return seen

    def _tree(self, late: float) -> list[str]:
        try:
            return self._ask("ls-tree", "-r", "-z", "HEAD", "--", ".", late=late).names
        except GitError:  # there is no commit on this branch yet
            return []

    def _texts(self, ids: list[str], late: float) -> Iterator[tuple[str, str]]:
        """Yield ids and texts of those that are texts and not too long."""
        asked = "\n".join(ids).encode() + b"\n"
        sizes: dict[str, int] = {}
        for line in self._ask("cat-file", "--batch-check", given=asked, late=late).data.split(
            b"\n"
        ):
            words = line.decode("ascii", "replace").split(" ")
            if len(words) == 3 and words[1] == "blob":
                sizes[words[0]] = int(words[2])
        short = [each for each in ids if sizes.get(each, MAX_CODE_BYTES + 1) <= MAX_CODE_BYTES]
        if len(short) < len(ids):
            self._note(f"{len(ids) - len(short)} versions of files are too long or missing")
        left = MAX_HISTORY_BYTES
        for chunk in _chunks(short, sizes):
            left -= sum(sizes[each] for each in chunk)
            if left < 0 or time.monotonic() > late:
                bound = f"{MAX_HISTORY_BYTES // MIB} MiB, {MAX_HISTORY_SECONDS:g} s"
                self._note(f"only a part of the history was searched ({bound})")
                return
            given = "\n".join(chunk).encode() + b"\n"
            answer = self._ask("cat-file", "--batch", given=given, late=late)
            for each, data in _contents(answer.data):
                wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
                if wide or b"\0" not in data[:4096]:
                    text = data.decode("utf-16" if wide else "utf-8-sig", "replace")
                    yield each, text.replace("\r\n", "\n")

    def _ask(self, *arguments: str, given: bytes = b"", late: float | None = None) -> Answer:
        seconds = MAX_HISTORY_SECONDS if late is None else max(late - time.monotonic(), 0.1)
        return ask(self._workspace.root, *arguments, given=given, seconds=seconds)

    def _note(self, what: str) -> None:
        self._workspace.note(".", what, 0, 0)


def _chunks(ids: list[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for each in ids:
        if chunk and size + sizes[each] > _CHUNK:
            yield chunk
            chunk, size = [], 0
        chunk.append(each)
        size += sizes[each]
    if chunk:
        yield chunk


def _contents(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield ids and contents out of what `cat-file --batch` has printed."""
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        words = data[at:end].decode("ascii", "replace").split(" ")
        if len(words) != 3 or words[1] != "blob":
            at = end + 1
            continue
        size = int(words[2])
        yield words[0], data[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
