"""Known holes and licences in packages of functions: the gate at deploy, exceptions, what lives.

    packages of a bundle ──▶ judged by advisories ──▶ weighed by rules and exceptions ──▶ verdict

What advisories say is told by `casemate.advisories`, what packages state by `casemate.sbom`; here
is what the node makes of it. May import both, the port of `store`, `facts`, `operations` and
`model`.
"""

from casemate.vulnerabilities.advisories import UPLOAD_PREFIX, Advisories
from casemate.vulnerabilities.bundle_packages import (
    Packages,
    named,
    packages_of,
    read_packages,
    stated,
)
from casemate.vulnerabilities.exceptions import Exceptions
from casemate.vulnerabilities.gate import Gate, LicenceError, Stamp, VulnerableError
from casemate.vulnerabilities.inventory import Inventory
from casemate.vulnerabilities.watch import Live, Watch
from casemate.vulnerabilities.weighing import weigh

__all__ = [
    "UPLOAD_PREFIX",
    "Advisories",
    "Exceptions",
    "Gate",
    "Inventory",
    "LicenceError",
    "Live",
    "Packages",
    "Stamp",
    "VulnerableError",
    "Watch",
    "named",
    "packages_of",
    "read_packages",
    "stated",
    "weigh",
]
