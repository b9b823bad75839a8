"""The handler as a Knative function: ASGI, served as the scaffolding of `func` does it."""

import json

from func_python.http import serve
from handler import handle as compute

HEADERS = [[b"content-type", b"application/json"]]


async def handle(scope, receive, send):
    """Read the whole body, compute, answer."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    answer = json.dumps(compute(json.loads(body))).encode()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    serve(handle)
