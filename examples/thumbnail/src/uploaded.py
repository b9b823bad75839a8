"""Keep a thumbnail of each picture in a bucket: in another bucket, under the same key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thumbnail import RefusedError, shrink

if TYPE_CHECKING:
    from casemate import Context, Event

EDGE = 200


def handler(event: Event, context: Context) -> None:
    """Write the thumbnail of a picture that was written, and delete that of one that is gone.

    It goes to another bucket than the one it listens to: a function must not call itself.
    """
    key, thumbnails = event.detail["key"], context.bucket("thumbnails")
    if event.type == "casemate.bucket.deleted":
        thumbnails.delete(key)
        return
    pictures = context.bucket("pictures")
    if not pictures.exists(key):
        return  # deleted meanwhile, for which there is another event
    # The present content: if it was written again meanwhile, there is another event for that.
    with pictures.open(key) as file:
        data = file.read()
    try:
        picture, size = shrink(data, EDGE)
    except RefusedError as refused:
        # Trying again would not help: it is not a picture.
        context.log.warning("no picture", key=key, reason=refused.reason)
        return
    thumbnails.put(key, picture, content_type="image/jpeg")
    context.log.info("scaled", key=key, width=size[0], height=size[1])
