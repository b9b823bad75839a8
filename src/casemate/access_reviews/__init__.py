"""Access reviews: who and what has rights, since when, and when somebody last looked at them.

Here is what is remembered of reviews and how those who have rights are listed. Not here: taking
rights, which the operations on accounts do, by the rights of who asks. May import `accounts`, the
port of `store`, `operations` and `model`.
"""

from casemate.access_reviews.holders import Holder, holders
from casemate.access_reviews.listing import page_of
from casemate.access_reviews.reviews import Reviews

__all__ = ["Holder", "Reviews", "holders", "page_of"]
