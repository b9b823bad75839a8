"""An issuer of ID tokens as its two documents: what CI systems publish, as a test wants it."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwt
from joserfc.jwk import RSAKey

KEY = RSAKey.generate_key(2048, {"kid": "one"})
PUBLIC = KEY.as_dict(private=False)


class Published:
    """A provider's two documents, as a test wants them."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.delay = 0.0
        published = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                published.requests.append(self.path)
                time.sleep(published.delay)
                status, headers, body = published.answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.configuration = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        }
        self.publish()
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def publish(self, *keys: dict[str, object], **change: object) -> None:
        document = {n: v for n, v in {**self.configuration, **change}.items() if v is not None}
        self.put("/.well-known/openid-configuration", document)
        self.put("/jwks", {"keys": list(keys or (PUBLIC,))})

    def put(self, path: str, document: object, status: int = 200, **headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers[path] = (status, headers, body)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def token(self, *, key: RSAKey = KEY, **claims: object) -> str:
        """Sign claims beside `iss`; those that are None are left out."""
        body = {n: v for n, v in {"iss": self.issuer, **claims}.items() if v is not None}
        return jwt.encode({"alg": "RS256", "kid": "one"}, body, key, algorithms=["RS256"])
