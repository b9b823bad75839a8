"""Playbooks: what the node does about what it finds, by itself or once a person has said so.

Not what finds (`detection`, `monitor`), and no operation of its own: it does what people do by
hand. What it may do is decided by `policy`, for a principal of each playbook.
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
