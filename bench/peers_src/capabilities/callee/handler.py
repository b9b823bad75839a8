"""What is invoked by another function."""


def handle(event, context):
    """Return the event."""
    return event
