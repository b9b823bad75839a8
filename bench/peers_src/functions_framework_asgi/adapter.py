"""The handler behind `functions-framework --asgi`: a Starlette route under a uvicorn worker.

A coroutine, so that it runs on the loop: a plain function would go through a thread pool there.
"""

import functions_framework.aio
from handler import handle


@functions_framework.aio.http
async def main(request):
    """Parse the JSON body; the framework turns the returned dict into JSON."""
    return handle(await request.json())
