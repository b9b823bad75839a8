"""Writes the page of all rules into the folder of the reference docs."""

from __future__ import annotations

import sys
from pathlib import Path

from casemate.audit.reference import rules_page

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference")
    (folder / "audit-rules.md").write_text(rules_page(), encoding="utf-8")
