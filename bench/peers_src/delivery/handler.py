"""What is delivered to: the plain work, a note of how late events are, and one that burns time."""

import time

LAGS = []


def handle(event, context=None):
    """Return figures of `event["values"]`, as the handler of the other measurements."""
    values = event["values"]
    return {
        "largest": max(values),
        "n": event["n"],
        "name": event["name"].upper(),
        "total": sum(values),
    }


def note(event, context):
    """Note how long ago an event was sent; one without that takes what was noted."""
    if "at" not in event:
        taken = list(LAGS)
        LAGS.clear()
        return taken
    LAGS.append(time.time() - float(event["at"]))
    return None


def burn(event, context):
    """Use 10 ms of a core."""
    end = time.process_time() + 0.01
    while time.process_time() < end:
        pass
