"""The node's own processes: starting, confining and restarting them, and talking to them.

What it is: the supervisor's side (`start`, `starter`, `heartbeat`), the process's own (`process`,
`confinement`, `proof`), and the gateway's (`restart`, `calls`), over frames that carry descriptors
(`channel`, `frames`). What it is not: what such a process does, the messages that it understands,
or a sandbox for code of others (`sandbox`). May import `casemate.kernel` and `casemate.model`.
"""
