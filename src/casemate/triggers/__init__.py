"""Where things that happen outside become requests: one adapter for each kind of trigger.

It is: the HTTP front door in `http_server`, schedules, and web hooks of repositories and storage.
It is not: routing, authentication or a decision on what may run; those belong to the path.
It may import: `admission`, `seal`, `data`, `policy`, `vault` and `model`.
"""
