"""The path: the one way from a trigger's raw input to a sealed answer.

`pipeline.py` is all of it. Not the work of any stage. May import `admission`, `dispatch`, `seal`,
`sandbox` and `model`.
"""

from casemate.invocation.pipeline import Pipeline

__all__ = ["Pipeline"]
