"""Loaded by Python as it starts: writes down every call that the process signs for AWS, by whom, once for each kind.

A line is `<process> <principal> <service>:<operation>`. The process is `worker`, `web`, or the command; the principal is `own` for
the credentials that the process runs with, and `member` for those that it was handed for somebody.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = os.environ.get("RECORD_AWS_CALLS", "")
# The file that whoever another machine is asked for is written to.
OUTSIDE = os.environ.get("RECORD_OUTSIDE", "")
# How botocore names what finds credentials: whatever is not one of its own ways was given to the client.
GIVEN = "explicit"
# The embedded AWS's root has the account's number for a key.
ROOT_DIGITS = 12
_seen: set[str] = set()


def _process() -> str:
    program = Path(sys.argv[0]).name if sys.argv else ""
    if "gunicorn" in " ".join(sys.orig_argv[:4]):
        return "web"
    # Workers of the tests' own are workers too.
    if program.endswith("worker.py"):
        return "worker"
    return sys.argv[1] if program == "manage.py" and len(sys.argv) > 1 else ""


def _record(request_signer: Any, operation_name: str, **_: Any) -> None:
    process = _process()
    if not process:
        return
    credentials = getattr(request_signer, "_credentials", None)
    if len(getattr(credentials, "access_key", "")) == ROOT_DIGITS:
        return
    principal = "member" if getattr(credentials, "method", "") == GIVEN else "own"
    # Not the signing name, which several services share: the model's own.
    service = request_signer._service_id.hyphenize()
    line = f"{process} {principal} {service}:{operation_name}"
    if line not in _seen:
        _seen.add(line)
        with Path(FOLDER, f"{os.getpid()}.calls").open("a") as file:
            file.write(line + "\n")


class _Watched(importlib.abc.Loader):
    """botocore.session, each of whose sessions tells of its calls."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        make = module.Session.__init__

        def make_and_watch(session: Any, *arguments: Any, **options: Any) -> None:
            make(session, *arguments, **options)
            session.register("before-sign", _record)

        module.Session.__init__ = make_and_watch


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != "botocore.session":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Watched(spec.loader)
        return spec


def _is_outside(address: Any) -> bool:
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    # A socket's path is no host, and no name means this machine.
    return isinstance(host, str) and host not in ("", "localhost", "::1") and not host.startswith(("127.", "/", "\0"))


def _tell_outside(event: str, arguments: tuple[Any, ...]) -> None:
    asked = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}.get(event)
    if asked is not None and _is_outside(arguments[asked]):
        with Path(OUTSIDE).open("a") as file:
            file.write(f"{' '.join(sys.orig_argv[-3:])}: {event} {arguments[asked]}\n")


if OUTSIDE:
    sys.addaudithook(_tell_outside)
if FOLDER:
    sys.meta_path.insert(0, _Finder())
