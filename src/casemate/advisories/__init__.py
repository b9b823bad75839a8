"""Known vulnerabilities of packages: OSV records in, findings about versions out.

It reads records of PyPI and npm from a folder, an archive or a mirror into one file, says whether
the file is reliable, and judges packages by it. It knows no bundle, node or policy: what follows
from a finding is decided elsewhere. May import `model` only. The code that reads sources and locks
is in `importing` and `locks`, because a gateway, which judges, does not need it.
"""

from casemate.advisories.database import Database, Header
from casemate.advisories.entry import Description
from casemate.advisories.errors import (
    AdvisoriesError,
    BusyError,
    CutShortError,
    DatabaseMissingError,
    DatabaseUnreadableError,
    LockFileError,
    OlderError,
    RecordError,
    SourceError,
    VectorError,
    VersionError,
)
from casemate.advisories.installing import KnownHoles
from casemate.advisories.judging import Finding, Judge, Judgement, NotJudged, judge, judge_all
from casemate.advisories.packages import Ecosystem, Package, normalised
from casemate.advisories.place import Place, default_place, place_of_node
from casemate.advisories.receiving import receive
from casemate.advisories.severity import Severity, score_of, severity_of
from casemate.advisories.standing import Problem, Standing, Trouble, look

__all__ = [
    "AdvisoriesError",
    "BusyError",
    "CutShortError",
    "Database",
    "DatabaseMissingError",
    "DatabaseUnreadableError",
    "Description",
    "Ecosystem",
    "Finding",
    "Header",
    "Judge",
    "Judgement",
    "KnownHoles",
    "LockFileError",
    "NotJudged",
    "OlderError",
    "Package",
    "Place",
    "Problem",
    "RecordError",
    "Severity",
    "SourceError",
    "Standing",
    "Trouble",
    "VectorError",
    "VersionError",
    "default_place",
    "judge",
    "judge_all",
    "look",
    "normalised",
    "place_of_node",
    "receive",
    "score_of",
    "severity_of",
]
