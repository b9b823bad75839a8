"""The handler that every platform is measured with: standard library only."""


def handle(event, context=None):
    """Return figures of `event["values"]`; `n` and `name` show that this very event was seen."""
    values = event["values"]
    # in alphabetical order: a framework that sorts keys then answers with the same text
    return {
        "largest": max(values),
        "n": event["n"],
        "name": event["name"].upper(),
        "total": sum(values),
    }
