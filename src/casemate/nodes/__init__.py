"""A node among others that share a control store: which nodes there are, and what each follows.

Not the store itself (`store`), and no consensus: the store's database decides which change is
made, and its clock which nodes are alive. Each part reads its own cached state again; this package
says when. May import `store`, `operations` and `model`.
"""

from typing import TYPE_CHECKING

from casemate.deferred import deferred
from casemate.store.deciding import AloneDecisions, Decisions, SharedDecisions

if TYPE_CHECKING:
    from casemate.nodes.among import Among
    from casemate.nodes.following import MAX_STALE, Following, Part
    from casemate.nodes.identity import IdentityFile
    from casemate.nodes.membership import Membership, Self
    from casemate.nodes.others import Others
    from casemate.nodes.standing import Standing
else:
    __getattr__ = deferred(
        __name__,
        among=("Among",),
        following=(
            "MAX_STALE",
            "Following",
            "Part",
        ),
        identity=("IdentityFile",),
        membership=(
            "Membership",
            "Self",
        ),
        others=("Others",),
        standing=("Standing",),
    )

__all__ = [
    "MAX_STALE",
    "AloneDecisions",
    "Among",
    "Decisions",
    "Following",
    "IdentityFile",
    "Membership",
    "Others",
    "Part",
    "Self",
    "SharedDecisions",
    "Standing",
]
