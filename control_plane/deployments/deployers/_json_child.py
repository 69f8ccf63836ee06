"""Long-lived child process: JSON Lines to it and from it, each object belonging to a request by its `id`.

It dies with its parent: it reads its standard input, which ends when the parent does, however that happens.
"""

import itertools
import json
import logging
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from control_plane.base.config import ROOT

logger = logging.getLogger("cohort.children")

Message = dict[str, Any]
START_SECONDS = 60.0


class ChildDied(RuntimeError):
    """The process ended, or was ended, before it answered."""


class Conversation:
    """One request to a child, with its answers. Use as a context manager."""

    def __init__(self, child: "Child", number: int) -> None:
        self._child, self._number = child, number
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *exception: object) -> None:
        self._child.forget(self._number)

    def send(self, message: Message) -> None:
        """Send the child a further message of this request. Raises ChildDied."""
        self._child.send({**message, "id": self._number})

    def receive(self, seconds: float) -> Message | None:
        """Return the child's next message, or None if none comes within `seconds`. Raises ChildDied."""
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            return None
        if message is None:
            raise ChildDied(f"{self._child.name} ended unexpectedly")
        return message

    def deliver(self, message: Message | None) -> None:
        """Queue a message of the child; None says that the child has died. Called by the child's reader thread."""
        self._messages.put(message)


class Child:
    """A running child process. `ready` is set once it reports ready, or has ended."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.name = name
        self.ready = threading.Event()
        self._numbers = itertools.count(1)
        self._conversations: dict[int, Conversation] = {}
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        threading.Thread(target=self._read, name=f"{name}-reader", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def request(self, message: Message) -> Conversation:
        """Send a request, and return its conversation. Raises ChildDied."""
        number = next(self._numbers)
        conversation = Conversation(self, number)
        with self._lock:
            self._conversations[number] = conversation
        self.send({**message, "id": number})
        return conversation

    def send(self, message: Message) -> None:
        """Write one message as a line. Raises ChildDied."""
        line = (json.dumps(message) + "\n").encode()
        with self._lock:
            try:
                if self._process.stdin is None or not self.is_alive:
                    raise BrokenPipeError
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except OSError as error:
                raise ChildDied(f"{self.name} ended unexpectedly") from error

    def forget(self, number: int) -> None:
        """Drop messages that may still come for this request."""
        with self._lock:
            self._conversations.pop(number, None)

    def wait_ready(self, seconds: float = START_SECONDS) -> bool:
        """Wait until the child is ready, and return whether it is, within `seconds`."""
        return self.ready.wait(seconds) and self.is_alive

    def kill(self) -> None:
        """End the process at once, with all its own children."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            logger.debug("%s had ended already", self.name)
        self._process.wait()

    def _read(self) -> None:
        if self._process.stdout is None:
            raise ValueError("The process was started without a pipe for its output.")
        for line in self._process.stdout:
            self._dispatch(line)
        self._process.wait()
        # Unblocks `wait_ready`, which then sees that the process has ended.
        self.ready.set()
        with self._lock:
            waiting = list(self._conversations.values())
        for conversation in waiting:
            conversation.deliver(None)

    def _dispatch(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            logger.warning("%s said what is no message: %.200r", self.name, line)
            return
        if message.get("ready"):
            self.ready.set()
            return
        with self._lock:
            conversation = self._conversations.get(int(message.get("id") or 0))
        if conversation is not None:
            conversation.deliver(message)


class KeptChild:
    """Owner of a child that is started when first needed, and again whenever it has died."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._name, self._command, self._env = name, command, env
        self._lock = threading.Lock()
        self._child: Child | None = None

    def get(self) -> Child:
        """Return the running child, ready for requests. Raises ChildDied if it does not start."""
        with self._lock:
            if self._child is None or not self._child.is_alive:
                self._child = Child(self._name, self._command, self._env)
            child = self._child
        if not child.wait_ready():
            child.kill()
            raise ChildDied(f"{self._name} did not start; the worker's log has its last words")
        return child

    def warm(self) -> None:
        """Start the child without waiting for it."""
        with self._lock:
            if self._child is None or not self._child.is_alive:
                self._child = Child(self._name, self._command, self._env)

    def replace(self, child: Child) -> None:
        """Start a successor, and end the old child once the successor is ready; until then requests go to the old one."""
        successor = Child(self._name, self._command, self._env)
        if not successor.wait_ready():
            successor.kill()
            return
        with self._lock:
            if self._child is child:
                self._child = successor
        child.kill()

    def end(self) -> None:
        """End the child, if one runs."""
        with self._lock:
            if self._child is not None:
                self._child.kill()
                self._child = None

    @property
    def running(self) -> Child | None:
        """The child, if one runs."""
        return self._child if self._child is not None and self._child.is_alive else None

    @property
    def pid(self) -> int | None:
        """The child's process id, if one runs."""
        return self.running.pid if self.running is not None else None
