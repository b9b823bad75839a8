"""Evidence of incidents: what the node has on record, in one archive that nobody changes unseen.

Not what is on record (`recorder`, `recordings`), and not what is put into an archive (`api`): its
form, and how it is kept until somebody says that it is not needed any more.
"""

from casemate.evidence.archive import EvidenceError, Manifest, build, opened
from casemate.evidence.holding import Holds
from casemate.evidence.keeping import Evidences

__all__ = ["EvidenceError", "Evidences", "Holds", "Manifest", "build", "opened"]
