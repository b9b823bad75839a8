"""Resets an instance, after a call, to the state in which it was ready for its first call.

This happens from outside: the process is stopped and compared with its snapshot, its memory and
registers are reset, and only then does it continue. If anything else differs, or cannot be
compared, the instance is discarded, with a reason.

    reasons.py   why an instance is not used again
    home.py      where an instance stands when it is set back
    tracee.py    stops a process, follows what it does and what it starts
    threads.py   those that a call has started, which end with it
    snapshot.py  what an instance was when it was ready, and its untouched copy
    restoring.py compares with the snapshot and sets back

    protocol.py  what the supervisor and the gateway ask, and are told
    asking.py    the gateway's end
    server.py    the loop of the process; process.py confines it, start.py starts it

No decision about which functions are restored, no sandbox, and nothing of a function's is parsed:
bytes are copied, structures of the kernel's are compared. May import `kernel`, and nothing else of
ours but `child` and `model`.
"""
