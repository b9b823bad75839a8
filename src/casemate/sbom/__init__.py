"""The contents of a bundle as CycloneDX 1.6: components, licences, dependencies.

It reads only a finished bundle, so the same bundle gives the same bytes anywhere. It judges
nothing; `expressions` says what a licence expression means. May import `advisories` (for names of
packages) and `model` only. The code that reads a function's code is in `needs` and `reaching`,
because a gateway, which parses none, does not need it.
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
