"""The manifest's JSON Schema in a project, where editors find it without a network.

The first line of the manifest names it by a path relative to the manifest: Taplo, and Even Better
TOML which is built on it, resolve that as a file, whatever folder they were started in.
"""

from __future__ import annotations

import json
from pathlib import Path

from casemate.cli.stubs import write_ours
from casemate.manifest.schema import json_schema, schema_text

SCHEMA_PATH = Path("typings/casemate.schema.json")
DIRECTIVE = f"#:schema ./{SCHEMA_PATH.as_posix()}"


def write_schema(folder: Path) -> tuple[Path, bool]:
    """Write the schema into a project's folder; return its path, and whether it is another now.

    Raises CommandError if something else is in its place, or if it cannot be written.
    """
    return write_ours(folder, SCHEMA_PATH, schema_text(), _is_ours)


def _is_ours(text: str) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("title") == json_schema()["title"]
