"""Evidence of incidents: the node's records in one archive that nobody can change unnoticed.

It is the archive's format, and keeping it until somebody says that it is no longer needed. Not
the records (`recorder`, `recordings`), and not the choice of what goes into an archive (`api`).
"""

from casemate.evidence.archive import EvidenceError, Manifest, build, opened
from casemate.evidence.holding import Holds
from casemate.evidence.keeping import Evidences

__all__ = ["EvidenceError", "Evidences", "Holds", "Manifest", "build", "opened"]
