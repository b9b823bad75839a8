"""Access reviews: who and what has rights, since when, and when they were last reviewed.

It keeps reviews and lists the holders of rights. It does not take rights away: the operations on
accounts do that, with the rights of whoever asks. May import `accounts`, the port of `store`,
`operations` and `model`.
"""

from casemate.access_reviews.holders import Holder, holders
from casemate.access_reviews.listing import page_of
from casemate.access_reviews.reviews import Reviews

__all__ = ["Holder", "Reviews", "holders", "page_of"]
