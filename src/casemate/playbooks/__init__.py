"""Playbooks: what the node does about what it finds, by itself or once a person has said so.

Not detection (`detection`, `monitor`), and no operations of its own: it does what people do by
hand. `policy` decides what it may do, with a principal for each playbook.
"""

from casemate.playbooks.acting import Acting
from casemate.playbooks.books import Book
from casemate.playbooks.errors import PlaybookError
from casemate.playbooks.paging import Paging
from casemate.playbooks.planning import needs
from casemate.playbooks.playbooks import Playbooks
from casemate.playbooks.reading import read_playbook

__all__ = [
    "Acting",
    "Book",
    "Paging",
    "PlaybookError",
    "Playbooks",
    "needs",
    "read_playbook",
]
