"""Imports an application of another platform as a project of Casemate.

It takes the model that the importers of the audit fill, and writes a folder: manifest, code, and a
page of what is left for a person. Functions get the least that their code needs of what they were
granted there; what has no counterpart is told with its place. Nothing of the application is run,
and nothing that looks like a secret is written. Not a reader of templates: those are in `audit`.

May import `audit`, `manifest` and `model` of ours.
"""

from casemate.importing.application import Choices, NothingToImportError, imported
from casemate.importing.names import is_name
from casemate.importing.outcome import Imported
from casemate.importing.page import page_of
from casemate.importing.writing import FolderError

__all__ = [
    "Choices",
    "FolderError",
    "Imported",
    "NothingToImportError",
    "imported",
    "is_name",
    "page_of",
]
