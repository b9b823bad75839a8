"""What leaves the monitor for others to keep: traces, numbers and lines of logs.

    recorder ══ invocations, lines, from kept places ══▶ stream ──▶ collector (OTLP/HTTP)
                                                               └──▶ syslog over TLS
    gateway ══ numbers, each minute ══▶ numbers ──▶ collector

What it is: encoding (`protobuf`, `otlp`), and getting it there (`stream`, `collector`, `lines`).
The recorder's database is the queue: only a place in it is remembered. What it is not: alerts
(`casemate.monitor.outlet`), which tell people of few things at once.
"""
