"""Which versions of a lock must change to fix its known vulnerabilities, and what that costs.

    a lock, its requirements, the indexes, advisories ──▶ the smallest change ──▶ its price

`package_index` decides what may be installed, uv in `build` what fits together, and `advisories`
what is a vulnerability. It writes nothing, runs nothing, and knows no node. May import these.
"""

from casemate.repair.holes import KnownFindings
from casemate.repair.lock_update import LockUpdate, Update, write
from casemate.repair.plan import Change, Plan, Uncleared
from casemate.repair.planning import NoSolutionError, Planner
from casemate.repair.price import Price
from casemate.repair.requirement_lines import RequirementLines
from casemate.repair.resolver import ProjectResolver, Resolver
from casemate.repair.steps import Step, step_of

__all__ = [
    "Change",
    "KnownFindings",
    "LockUpdate",
    "NoSolutionError",
    "Plan",
    "Planner",
    "Price",
    "ProjectResolver",
    "RequirementLines",
    "Resolver",
    "Step",
    "Uncleared",
    "Update",
    "step_of",
    "write",
]
