"""What a bundle is made of, as CycloneDX 1.6: components, licences, what needs what.

It reads a finished bundle and nothing else, so that the same bundle gives the same bytes anywhere.
It judges nothing. May import `advisories` (for names of packages) and `model` only.
"""

from casemate.sbom.cyclonedx import sbom
from casemate.sbom.distributions import SbomError
from casemate.sbom.reaching import Reached, reached

__all__ = ["Reached", "SbomError", "reached", "sbom"]
