"""The host's side of what a running function may use: each use is decided, made and noted.

Not the handles inside the sandbox (`runner.capabilities`). May import `policy`, `data`, `vault`,
`egress`, `store` and what is below them.
"""
