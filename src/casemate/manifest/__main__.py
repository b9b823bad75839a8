"""Writes what is generated from the manifest's tables into the folder of the reference docs."""

from __future__ import annotations

import sys
from pathlib import Path

from casemate.manifest.reference import with_reference_tables
from casemate.manifest.schema import schema_text


def write(folder: Path) -> None:
    """Write `casemate.schema.json` and the generated part of `manifest.md` into `folder`."""
    (folder / "casemate.schema.json").write_text(schema_text(), encoding="utf-8")
    page = folder / "manifest.md"
    page.write_text(with_reference_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference"))
