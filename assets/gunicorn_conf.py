"""gunicorn's settings on a host. systemd holds the socket and passes it on (cohort-web.socket), so none is named here."""

import os

# A worker per core and one more twin, since requests mostly wait for AWS or the database. `COHORT_WEB_WORKERS` says otherwise.
workers = int(os.environ.get("COHORT_WEB_WORKERS") or min(2 * (os.cpu_count() or 1) + 1, 8))
worker_class = "gthread"
threads = 4
# A thread may be long at a zip; the worker as a whole must give a sign of life.
timeout = 60
# Whoever is being answered is answered, after a reload and at the end; less than the unit's TimeoutStopSec.
graceful_timeout = 30
# The signs of life are kept in memory: on a disk that is busy a worker would look dead.
worker_tmp_dir = "/dev/shm"  # noqa: S108 (the service has its own)
# nginx logs requests, and without their tokens.
accesslog = None
errorlog = "-"
# nginx alone reaches the socket.
forwarded_allow_ips = "*"
# Nobody is to steer it but systemd.
control_socket_disable = True
