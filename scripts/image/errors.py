"""What is said when an image cannot be made."""

from __future__ import annotations


class ImageError(Exception):
    """An image cannot be made, or is not as it should be. Says what to do."""
