"""PostgreSQL under Patroni and etcd, each machine a network namespace: struck while nodes write.

`python -m cluster` (with `tests` on the path; `make test-cluster`) needs root, PostgreSQL and etcd
from the distribution, and Patroni in an environment of its own. Not collected by pytest.
"""
