"""Where things that happen outside become requests: one adapter for each kind of trigger.

It is: the HTTP server in `http_server`, schedules, and web hooks of repositories and storage.
It is not: routing, which is in `front`, nor a decision on what may run, which is on the path.
It may import: `admission`, `seal`, `data`, `policy`, `vault` and `model`.
"""
