"""Access reviews: who and what has rights, since when, and when they were last reviewed.

It keeps reviews and lists the holders of rights. It does not take rights away: the operations on
accounts do that, with the rights of whoever asks. May import `accounts`, the ports of
`store` and `policy`, `operations` and `model`.
"""

from casemate.access_reviews.holders import Holder, holders
from casemate.access_reviews.listing import page_of
from casemate.access_reviews.only_holder import OnlyHolder
from casemate.access_reviews.reviews import Reviews

__all__ = ["Holder", "OnlyHolder", "Reviews", "holders", "page_of"]
