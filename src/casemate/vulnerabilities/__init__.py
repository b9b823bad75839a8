"""Known vulnerabilities and licences of packages: the gate at deploy, exceptions, live functions.

    packages of a bundle ──▶ judged by advisories ──▶ weighed by rules and exceptions ──▶ verdict

`casemate.advisories` reads advisories, and `casemate.sbom` says what packages state; this package
decides what follows. May import both, the port of `store`, `facts`, `operations` and
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
