"""The stream of what happens: `happened(fact)` is the one way in, listeners and feeds the ways out.

Not the types of facts (`casemate.model.facts`), and not their storage.
"""

from typing import TYPE_CHECKING

from casemate.deferred import deferred

if TYPE_CHECKING:
    from casemate.facts.stream import FactStream, Feed, TooManyFeedsError
else:
    __getattr__ = deferred(
        __name__,
        stream=(
            "FactStream",
            "Feed",
            "TooManyFeedsError",
        ),
    )

__all__ = ["FactStream", "Feed", "TooManyFeedsError"]
