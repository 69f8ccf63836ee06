"""The site as gunicorn serves it, and one more address: a stream whose second event is made only when the test says so."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from control_plane.wsgi import application as site

LONGEST = 10.0


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The site's own WSGI application, but for the stream, and for what tells which headers came."""
    if environ["PATH_INFO"] == "/probe/events/":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return _events(Path(os.environ["STREAM_GATE"]))
    if environ["PATH_INFO"] == "/probe/seen":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["\n".join(f"{name}: {environ[name]}" for name in sorted(environ) if name.startswith("HTTP_")).encode()]
    answer: Iterable[bytes] = site(environ, start_response)
    return answer


def _events(gate: Path) -> Iterator[bytes]:
    yield b"data: first\n\n"
    deadline = time.monotonic() + LONGEST
    while not gate.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    yield b"data: second\n\n" if gate.exists() else b"data: nobody opened the gate\n\n"
