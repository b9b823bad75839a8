"""Writes the JSON Schema of playbooks into the folder of the reference docs."""

from __future__ import annotations

import sys
from pathlib import Path

from casemate.playbooks.reading import SCHEMA_NAME, schema_text

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference")
    (folder / SCHEMA_NAME).write_text(schema_text(), encoding="utf-8")
