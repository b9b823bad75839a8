"""What a bundle is made of, as CycloneDX 1.6: components, licences, what needs what.

It reads a finished bundle and nothing else, so that the same bundle gives the same bytes anywhere.
It judges nothing; what an expression of licences means is told in `expressions`. May import
`advisories` (for names of packages) and `model` only. What reads a function's code is in `needs`
and `reaching`: a gateway, which parses none, does without.
"""

from casemate.sbom.cyclonedx import sbom, with_evidence
from casemate.sbom.distributions import SbomError, owners
from casemate.sbom.stated_licences import bundle_licences

__all__ = [
    "SbomError",
    "bundle_licences",
    "owners",
    "sbom",
    "with_evidence",
]
