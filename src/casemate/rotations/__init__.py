"""Rotation of secrets: how new values are made, making them, and going back within the overlap.

Not the values (`vault`, which makes them and gives them to functions alone), and not who sets them
outside (`gateway.rotators`). It knows versions by their numbers.
"""

from casemate.rotations.keeping import Asked, Rotations

__all__ = ["Asked", "Rotations"]
