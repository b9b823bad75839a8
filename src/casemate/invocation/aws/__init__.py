"""Events in the shapes that AWS Lambda hands over, for functions with `event_format = "aws"`.

One module for each shape. What only AWS has (accounts, regions, signatures) is filled with values
that are recognisably no one's. May import `model` and nothing else of ours.
"""

from casemate.invocation.aws.shapes import aws_event

__all__ = ["aws_event"]
