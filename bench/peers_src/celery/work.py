"""The same work as a Celery task, and a client that sends many and waits until all have run.

The broker keeps what it was sent on disk before it answers (appendfsync always), a task that a
worker dies with is run again (acks_late), and results are kept: what Casemate promises, too.
"""

import sys
import threading
import time

import celery
import redis
from handler import handle

URL = "redis://127.0.0.1:{}/0"
PORT = sys.argv[-1] if __name__ == "__main__" else __import__("os").environ["BENCH_PORT"]
app = celery.Celery("work", broker=URL.format(PORT), backend=URL.format(PORT))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=16,
    result_expires=3600,
    broker_connection_retry_on_startup=True,
)


@app.task(name="work.plain")
def plain(event):
    """Handle one event."""
    return handle(event, None)


def main():
    """Send events for so many seconds from 16 threads; print how many a second went through."""
    seconds, event = float(sys.argv[1]), {"n": 7, "name": "ada", "values": [3, 1, 4, 1, 5, 9, 2, 6]}
    store = redis.Redis(port=int(PORT))
    plain.delay(event).get(timeout=30)
    sent, last, lock = 0, [], threading.Lock()
    began = time.monotonic()

    def send():
        nonlocal sent
        while time.monotonic() - began < seconds:
            result = plain.delay(event)
            with lock:
                sent += 1
                last[-64:] = [*last[-63:], result]

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while store.llen("celery") or store.hlen("unacked"):
        time.sleep(0.01)
    for result in last:
        result.get(timeout=60)
    print("RATE", sent / (time.monotonic() - began), sent)


if __name__ == "__main__":
    main()
