"""What a bundle is made of, as CycloneDX 1.6: components, licences, what needs what.

It reads a finished bundle and nothing else, so that the same bundle gives the same bytes anywhere.
It judges nothing. May import `advisories` (for names of packages) and `model` only.
"""

from casemate.sbom.cyclonedx import sbom, with_evidence
from casemate.sbom.distributions import SbomError, owners
from casemate.sbom.needs import Need, Needs, Standing, needs
from casemate.sbom.reaching import Reached, reached

__all__ = [
    "Need",
    "Needs",
    "Reached",
    "SbomError",
    "Standing",
    "needs",
    "owners",
    "reached",
    "sbom",
    "with_evidence",
]
