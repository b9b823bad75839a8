"""The group of commands `casemate advisories`."""

from __future__ import annotations

from casemate.cli.options import new_app

app = new_app("Import advisories, and look packages up in them.")
