"""How much work the guard does for one question of a sink, and for one invocation's data.

Counted in steps, not in seconds: a busy machine must not turn harmless calls into refused ones.
What is at the end of a budget is refused, never let through.
"""

from __future__ import annotations

MAX_COMPARED = 12_000_000
"""Characters compared for one question of a sink: about 30 ms where each comparison is long."""
MAX_PLACES = 300_000
"""Places of a longer text at which texts of the sources may stand, for one question."""
MAX_DECODED = 4_000_000
"""Characters that decoders look at for one source: an event, or the answer of a capability."""
MAX_DECODED_IN_ALL = 32_000_000
"""The same for one invocation, however many answers it reads."""
TEXT_COST = 300
"""What a text with escapes, brackets or letters beyond ASCII costs beside its characters, in
characters: there are many ways to write it."""
ALONE_COST = 1200
"""What one costs that is handled alone: a long one, or one with null characters."""
EASY_COST = 100
"""What a text costs that is handled together with others, beside its characters."""
CODED_COST = 150
"""The same of what looks like base64, beside what comes of it."""
QUOTED_COST = 230
"""The same with quotes: there are three ways to write it."""
DOUBLE_COST = 90
"""What it costs more if there are double quotes: then there are six."""
FORM_COST = 1000
"""What each form that a text was decoded to costs beside its own characters."""
ESCAPE_COST = 30
"""What one `%41`, `&lt;` or `\\u0041` costs beside its characters: each is handled in Python."""
NORMAL_COST = 12
"""What each character costs of a text that is put into another normal form of Unicode."""


class ExhaustedError(Exception):
    """The event holds more than the sink guard looks at for one call."""


class Budget:
    """A number of steps that becomes smaller."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        """Begin with so many."""
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take steps away. ExhaustedError if there are none left."""
        self.left -= steps
        if self.left < 0:
            raise ExhaustedError
