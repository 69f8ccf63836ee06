"""IAM's delay: for a while after a change, authorisation and reads see the state before it, or the present one.

IAM is eventually consistent: "a change that you make might not be visible immediately" (IAM user guide, "Troubleshoot IAM",
"Changes that I make are not always immediately visible"). That goes for users, keys, roles, policies, boundaries and group
memberships, made by IAM's API or by CloudFormation, and as much for what is taken away: an old right works on for a while. The
answer of the changing call itself is never late.

Every request is a reader of its own: for each thing that changed within the delay it draws whether it sees the old or the new.
CloudFormation's own handlers see what there is: on AWS they wait until IAM shows it.
"""

import contextvars
import copy
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam, s3, sts
from ministack.services.cloudformation import stacks

from local_aws import _key_use
from local_aws._delay import Application

# Of ministack's IAM: all that decides who may do what.
STORES = ("_users", "_roles", "_groups", "_policies", "_access_keys", "_user_inline_policies", "_group_inline_policies")
READS = ("Get", "List", "Simulate")
# No record is None.
_ABSENT = None
_NOW = object()

# The store, and the account and name in it.
Key = tuple[str, tuple[str, str]]


# How late the request at hand sees each thing: drawn when it first looks, and the same to its end.
_moments: contextvars.ContextVar[dict[Key, float]] = contextvars.ContextVar("moments", default={})  # noqa: B039


class Delay:
    """The delay after which changes are seen, in seconds, as `file` says: a number, and after it the seed of the readers' draws.

    Without the file, or at 0, nothing is kept and every reader sees what there is.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._said = ""
        self._seconds = 0.0
        self._draw = random.Random()  # noqa: S311
        # What was noted last of each thing, and what it was before each change that somebody may not see yet.
        self._is_begun = False
        self._noted: dict[Key, Any] = {}
        self._before: dict[Key, list[tuple[float, Any]]] = {}

    def record_changes(self) -> None:
        """Record what changed since the last call. Called before and after each change."""
        if not self._is_on():
            return
        now = time.monotonic()
        there = {(name, key): record for name in STORES for key, record in getattr(iam, name)._data.items()}
        for key in [*there, *(key for key in self._noted if key not in there)]:
            new, old = _without_use(there.get(key, _ABSENT)), self._noted.get(key, _ABSENT)
            if new != old:
                if self._is_begun:
                    self._before.setdefault(key, []).append((now, old))
                if new is _ABSENT:
                    self._noted.pop(key, None)
                else:
                    self._noted[key] = copy.deepcopy(new)
        self._is_begun = True

    @contextmanager
    def delayed_view(self) -> Iterator[None]:
        """Show IAM as this request sees it while it reads. It may not give way to other requests meanwhile."""
        self.record_changes()
        drawn = self._delayed_records()
        if not drawn:
            yield
            return
        kept = {name: getattr(iam, name)._data for name in STORES}
        for name in STORES:
            view = dict(kept[name])
            for (store, key), record in drawn.items():
                if store == name:
                    if record is _ABSENT:
                        view.pop(key, None)
                    else:
                        view[key] = record
            getattr(iam, name)._data = view
        try:
            yield
        finally:
            for name, data in kept.items():
                getattr(iam, name)._data = data

    def _delayed_records(self) -> dict[Key, Any]:
        """Return the records that this request sees in an older state, each at one moment within the delay."""
        since = time.monotonic() - self._seconds
        moments, drawn = _moments.get(), {}
        for key, changes in list(self._before.items()):
            recent = self._before[key] = [(at, old) for at, old in changes if at > since]
            if not recent:
                del self._before[key]
                continue
            if key not in moments:
                # Between two changes it was as it was before the second; after the last it is as it is.
                moments[key] = self._draw.choice([*(at for at, _ in recent), math.inf])
            if (seen := next((old for at, old in recent if at >= moments[key]), _NOW)) is not _NOW:
                drawn[key] = copy.deepcopy(seen)
        return drawn

    def _is_on(self) -> bool:
        try:
            said = self._file.read_text()
        except OSError:
            said = ""
        if said != self._said:
            self._said = said
            seconds, _, seed = said.strip().partition(" ")
            self._seconds = _number(seconds)
            self._draw = random.Random(seed)  # noqa: S311
            if self._seconds:
                print(f"IAM's changes are seen {self._seconds:g} s late at the most; the seed is {seed}.", flush=True)
        if not self._seconds and self._is_begun:
            self._is_begun = False
            self._noted.clear()
            self._before.clear()
        return bool(self._seconds)


def per_request(inner: Application) -> Application:
    """Wrap the application so that each request is a reader of its own."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        _moments.set({})
        await inner(scope, receive, send)

    return answer


def install(delay: Delay) -> None:
    """Wrap what authorises, what reads and what changes. After everything else that adds to IAM's actions; before the pace."""
    for module, name in (
        (iam_evaluator, "enforce"),
        (iam_evaluator, "check_credentials"),
        (iam_evaluator, "caller_verified"),
        (iam_actions, "extract_resource_arn"),
        (iam_evaluator, "find_iam_access_key_account"),
        (app, "find_iam_access_key_account"),
        (s3, "resolve_credential"),
    ):
        setattr(module, name, _reading(delay, getattr(module, name)))
    for action, handler in iam._IAM_HANDLERS.items():
        iam._IAM_HANDLERS[action] = (_reading if action.startswith(READS) else _changing)(delay, handler)
    for name in ("_provision_resource", "_update_resource", "_delete_resource"):
        setattr(stacks, name, _changing(delay, getattr(stacks, name), "AWS::IAM::"))
    sts.handle_request = _answering(delay, sts.handle_request)


def _reading(delay: Delay, function: Callable[..., Any]) -> Callable[..., Any]:
    def read(*arguments: Any, **named: Any) -> Any:
        with delay.delayed_view():
            return function(*arguments, **named)

    return read


def _changing(delay: Delay, function: Callable[..., Any], types: str = "") -> Callable[..., Any]:
    def change(first: Any, *arguments: Any, **named: Any) -> Any:
        if types and not str(first).startswith(types):
            return function(first, *arguments, **named)
        delay.record_changes()
        try:
            return function(first, *arguments, **named)
        finally:
            delay.record_changes()

    return change


def _answering(delay: Delay, handle: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap ministack's STS, which looks up roles and users and never waits for anything."""

    async def answer(*arguments: Any, **named: Any) -> Any:
        with delay.delayed_view():
            return await handle(*arguments, **named)

    return answer


def _without_use(record: Any) -> Any:
    """Return a record without the parts that change merely by use."""
    if isinstance(record, dict) and _key_use.RECORD in record:
        return {name: value for name, value in record.items() if name != _key_use.RECORD}
    return record


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
