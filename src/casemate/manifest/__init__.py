"""`casemate.toml`: from its text to a validated `model.function.Project`.

All keys of a manifest are in `tables`; validation, the JSON Schema and the reference page are
generated from there. Every mistake is reported at once, each with its place.

Not the build: it checks the files that a manifest names only to report missing ones early. Nothing
of a project is imported, run or copied here, and whoever opens its files later checks them again.

May import `model` and nothing else of ours.
"""

from casemate.manifest.editing import EditError, ManifestChangedError, ManifestEditor
from casemate.manifest.hosts import is_private
from casemate.manifest.loading import MANIFEST_NAME, load
from casemate.manifest.package_tables import require_packages
from casemate.manifest.problem import ManifestError
from casemate.manifest.received import check_received
from casemate.manifest.rendering import grants_text
from casemate.manifest.schema import json_schema

__all__ = [
    "MANIFEST_NAME",
    "EditError",
    "ManifestChangedError",
    "ManifestEditor",
    "ManifestError",
    "check_received",
    "grants_text",
    "is_private",
    "json_schema",
    "load",
    "require_packages",
]
