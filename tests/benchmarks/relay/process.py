"""A relay that runs in a process of its own, as who measures has it: `with RelayProcess(site.aws_port) as relay:`."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[3]
STOP_SECONDS = 10


class RelayEnded(RuntimeError):
    """The relay's process has ended: it could not start, or did not know a command. What it said is on standard error."""


@dataclass(frozen=True)
class Line:
    """What a line is like: seconds of a round trip, and bits per second in each direction (None: no limit)."""

    delay: float
    rate: float | None

    def least_seconds(self, counters: Mapping[str, Any]) -> float:
        """Return what the requests and bytes that these counters hold take at the least on this line.

        A connection has one request at a time under way; so each of those that were busy waits for its share of the round trips.
        """
        waiting: float = sum(counters["requests"].values()) * self.delay / max(1, counters["most_busy"])
        carrying: float = max(counters["bytes_up"], counters["bytes_down"]) * 8 / self.rate if self.rate else 0.0
        return max(waiting, carrying)


class RelayProcess:
    """A running relay in front of a port of this machine, as a context manager."""

    def __init__(self, target_port: int, line: Line = Line(0.0, None)) -> None:
        """Prepare, without starting."""
        self._target_port, self._line = target_port, line
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        """Start it. Raises RelayEnded."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.relay", "--to", f"http://127.0.0.1:{self._target_port}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches who measures, who ends it.
            start_new_session=True,
        )
        self.port = self._read()["port"]
        self.set_line(self._line)
        return self

    def __exit__(self, *exception: object) -> None:
        process = self._running
        assert process.stdin is not None
        # It ends when its input does, also where this process was killed.
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    @property
    def endpoint(self) -> str:
        """What to tell clients as S3's address."""
        return f"http://localhost:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._running.pid

    def set_line(self, line: Line) -> None:
        """Have it be like this from now on; what has gone already arrives as it would have."""
        self._line = line
        self._ask({"line": {"delay": line.delay, "rate": line.rate}})

    def stall(self, seconds: float) -> None:
        """Let nothing through for so long, from now; 0 ends a stall."""
        self._ask({"stall": seconds})

    def lose(self, every: int, seed: int) -> None:
        """Cut one connection in each `every` requests, from the next on, where the seed says; 0 for none."""
        self._ask({"lose": {"every": every, "seed": seed}})

    def clear(self) -> None:
        """Count anew."""
        self._ask({"clear": True})

    def counters(self) -> dict[str, Any]:
        """Return what has gone through; see `Counters`."""
        counters: dict[str, Any] = self._ask({"counters": True})
        return counters

    def trace(self) -> list[dict[str, Any]]:
        """Return every request that has gone through; see `Exchange`."""
        trace: list[dict[str, Any]] = self._ask({"trace": True})
        return trace

    @property
    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def _ask(self, command: dict[str, Any]) -> Any:
        stdin = self._running.stdin
        assert stdin is not None
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        return self._read()

    def _read(self) -> Any:
        stdout = self._running.stdout
        assert stdout is not None
        line = stdout.readline()
        if not line:
            raise RelayEnded(f"The relay's process ended with status {self._running.wait()}.")
        return json.loads(line)
