"""Files of an application in JavaScript, each parsed once and only if something needs it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from casemate.audit.code.inline import parsable_script
from casemate.audit.code.reading import Code
from casemate.audit.javascript.project import only_types, project_of, scripts_of
from casemate.audit.javascript.syntax import SUFFIXES, Node, Parsed, SyntaxProblemError, parse


class ParsedFiles(Mapping[str, Parsed]):
    """The files below a folder, by their paths from there."""

    def __init__(self, code: Code, root: str, files: Iterable[str]) -> None:
        """Name them; nothing is read yet. A path from there may lead out of the folder."""
        self._code = code
        self._root = root
        # Functions of one folder have them in common: named once for all of them.
        named: dict[tuple[str, ...], dict[str, str]] = code.once("named scripts", root, dict)
        key = tuple(files)
        if key not in named:
            named[key] = {
                file.removeprefix(root): file
                for file in key
                if file.rpartition(".")[2] in SUFFIXES and not file.endswith(".d.ts")
            }
        self._files = named[key]
        self._types = set[str]()

    def __getitem__(self, path: str) -> Parsed:
        """Return the syntax of a file; of one that cannot be parsed why not."""
        outside = self._outside(path)
        if outside in self._types:
            return Parsed(Node("program", 1, 0))
        return parsed_file(self._code, outside or self._files[path])

    def __contains__(self, path: object) -> bool:
        """Tell whether there is such a file, parsed or not."""
        return path in self._files or (isinstance(path, str) and self._outside(path) is not None)

    def named(self, name: str) -> Iterator[str]:
        """Yield the paths that a name may lead to by the settings of its project."""
        return project_of(self._code, self._root).named(name)

    def layered(self, name: str) -> list[str]:
        """Return the path of a file of a layer, as `/opt/nodejs/lib/db` names it there.

        What stands in the folder of a layer is unpacked below `/opt`, and below `nodejs` if SAM
        builds it. Of several files of that name none is it.
        """
        rest = name.removeprefix("/opt/")
        if rest == name or not rest:
            return []
        for wanted in dict.fromkeys((rest, rest.removeprefix("nodejs/"))):
            found = [f for f in scripts_of(self._code) if _stem(f"/{f}").endswith(f"/{wanted}")]
            if len(found) == 1:
                path = posixpath.relpath(found[0], self._root.rstrip("/") or ".")
                return [path]
        return []

    def _outside(self, path: str) -> str | None:
        """Return a file that is not one of the folder's: of another, or of types alone."""
        if path in self._files:
            return None
        file = posixpath.normpath(self._root + path)
        if path.startswith("../") and file in scripts_of(self._code):
            return file
        if file.endswith(".ts") and file not in self._types:
            if not only_types(self._code, f"{file.removesuffix('.ts')}.d.ts"):
                return None
            self._types.add(file)
        return file if file in self._types else None

    def __iter__(self) -> Iterator[str]:
        """Yield the paths."""
        return iter(self._files)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._files)

    def file(self, path: str) -> str:
        """Return a file as it is named in what is audited."""
        return self._files.get(path) or self._outside(path) or path


def _stem(file: str) -> str:
    """Return a path without what scripts end in: `lib/db` of `lib/db.js` and `lib/db/index.ts`."""
    return posixpath.splitext(file)[0].removesuffix("/index")


def parsed_file(code: Code, file: str) -> Parsed:
    """Return the syntax of a file, parsed once."""

    def make() -> Parsed:
        text = code.text(file)
        if text is None:
            return _none("not audited: generated, or not text")
        return parsed_text(file, text)

    return code.once("javascript", file, make)


def parsed_text(path: str, text: str) -> Parsed:
    """Return the syntax of a text, or why there is none."""
    try:
        return parse(path, text)
    except SyntaxProblemError as error:
        return _none(str(error))


def parsed_inline(path: str, text: str) -> Parsed:
    """Return the syntax of code that stands in a template."""
    found = parsed_text(path, text)
    if found.broken and "${AWS::" in text:
        return parsed_text(path, parsable_script(text))
    return found


def _none(why: str) -> Parsed:
    return Parsed(Node("program", 1, 0), ((1, why),))
