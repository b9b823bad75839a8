"""The handles through which a handler uses what it is granted.

Each call is one request on the instance's own socket, which is its identity, and one reply. The
host decides every use; nothing here is a check. Request head: `{"n": number, "op": name, ...}`,
reply head: `{"n": number, "ok": {...}}` or `{"n": number, "error": code, "message": text}`.
"""
