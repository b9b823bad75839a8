"""The project that `casemate init` makes, and the writing of it: all of it or nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from casemate.cli.errors import CommandError
from casemate.cli.names import MANIFEST_NAME
from casemate.cli.new_file import new_file
from casemate.cli.project_schema import DIRECTIVE, SCHEMA_PATH
from casemate.cli.stubs import STUB_PATH, stub_text
from casemate.manifest.schema import schema_text

_MODE = 0o666

MANIFEST = """\
{directive}
# Every key is described in that schema, which editors show, and in docs/reference/manifest.md.

[project]
name = "{name}"

[function.hello]
description = "Greets whoever the event names."
handler = "app:handler"
source = "src"
# requirements = "requirements.txt"
# public = true    # lets everyone call it, without a token

# [[function.hello.http]]
# method = "GET"
# path = "/hello/{{name}}"

[function.hello.limits]
memory = "128MB"
timeout = "5s"
"""

HANDLER = '''\
"""The function: casemate calls `handler` once for each event."""


def handler(event, context):
    """Return a greeting for the name in the event."""
    name = str(event.get("name", "world"))
    context.log.info("greeting", name=name)
    return {"message": f"Hello, {name}!"}
'''

TEST = '''\
"""Run with: python3 -m unittest discover tests"""

import sys
import unittest
from pathlib import Path
from unittest.mock import Mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from app import handler


class HandlerTest(unittest.TestCase):
    def test_greets_the_name_in_the_event(self):
        context = Mock()
        self.assertEqual(handler({"name": "Ada"}, context), {"message": "Hello, Ada!"})
        context.log.info.assert_called_once_with("greeting", name="Ada")

    def test_greets_the_world_without_a_name(self):
        self.assertEqual(handler({}, Mock()), {"message": "Hello, world!"})


if __name__ == "__main__":
    unittest.main()
'''

README = """\
# {name}

Functions for Casemate.

```console
$ python3 -m unittest discover tests            # test
$ casemate dev                                  # run here, reload on save
$ casemate deploy                               # build, upload, make live
$ casemate invoke hello '{{"name": "Ada"}}'       # call
$ casemate logs -f hello                        # watch
```

`typings/` tells editors and type checkers what `from casemate import Context` is and what
`casemate.toml` may say; `casemate stubs` renews it.
"""

GITIGNORE = """\
.casemate/
.venv/
__pycache__/
.env*
"""


def files(name: str) -> dict[str, str]:
    """Return the project's files by relative path. The manifest, which makes it one, is last."""
    return {
        "src/app.py": HANDLER,
        "tests/test_app.py": TEST,
        "README.md": README.format(name=name),
        ".gitignore": GITIGNORE,
        STUB_PATH.as_posix(): stub_text(),
        SCHEMA_PATH.as_posix(): schema_text(),
        MANIFEST_NAME: MANIFEST.format(name=name, directive=DIRECTIVE),
    }


def write(folder: Path, name: str) -> list[Path]:
    """Write the project `name` into `folder` and return its files.

    Each is whole or not there. What one that was killed has written of the same is taken as it is:
    without a manifest it is no project yet. Raises CommandError if something else is in the place
    of a file, or one cannot be written; then nothing is left of what this has written.
    """
    contents = {folder / path: text.encode() for path, text in files(name).items()}
    begun = not os.path.lexists(folder / MANIFEST_NAME)
    there = [path for path in contents if os.path.lexists(path)]
    existing = [path for path in there if not (begun and _holds(path, contents[path]))]
    if existing:
        raise CommandError(
            "These files exist already: " + ", ".join(map(str, existing)) + ".",
            next_step="Choose an empty folder: `casemate init FOLDER`.",
        )
    made: list[Path] = []
    try:
        for path in [each for each in contents if each not in there]:
            _make_folders(path.parent, made)
            with new_file(path, mode=_MODE) as file:
                file.write(contents[path])
            made.append(path)
    except BaseException as error:
        _take_back(made)
        if isinstance(error, OSError):
            raise CommandError(
                f"{error.filename or folder} cannot be written: {error.strerror}.",
                next_step="Choose a folder you may write to.",
            ) from error
        raise
    return list(contents)


def _holds(path: Path, content: bytes) -> bool:
    """Tell whether a path is a plain file of this very content."""
    try:
        return (
            stat.S_ISREG(path.lstat().st_mode)
            and path.lstat().st_size == len(content)
            and path.read_bytes() == content
        )
    except OSError:
        return False


def _make_folders(folder: Path, made: list[Path]) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir()
        made.append(parent)


def _take_back(made: list[Path]) -> None:
    """Remove what was made, newest first; what someone else filled meanwhile stays."""
    for path in reversed(made):
        try:
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        except OSError:
            continue
