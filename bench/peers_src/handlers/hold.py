"""A handler that stays busy for a while, so that live instances can be counted and weighed."""

import time


def handle(event, context=None):
    """Sleep `event["hold"]` seconds."""
    time.sleep(event["hold"])
    return {"n": event["n"]}
