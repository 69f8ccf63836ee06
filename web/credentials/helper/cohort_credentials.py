#!/usr/bin/env python3
"""Credentials for AWS's programs from a Cohort site.

    cohort_credentials.py login  --site https://cohort.example.org --group example-lab
    cohort_credentials.py get    --site https://cohort.example.org --group example-lab
    cohort_credentials.py logout --site https://cohort.example.org

`login` signs this computer in, in your browser. `get` is for the `credential_process` of an AWS profile: it prints credentials
that last an hour, and keeps them until shortly before their end. `logout` ends the sign-in. Needs Python 3.9 and nothing else.

Exit status: 0 done, 2 wrong arguments, 3 not signed in, 4 not in the group or not allowed, 5 no answer from the site, 6 else.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import webbrowser
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

CLIENT = "cohort-cli"
SCOPE = "credentials"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SIGNED_OUT, NOT_ALLOWED, SITE_AWAY, OTHER = 3, 4, 5, 6
# Kept credentials are replaced when so little of them is left; AWS's programs ask again at their end by themselves.
RENEW_SECONDS = 5 * 60
TIMEOUT_SECONDS, LOCK_SECONDS, READY_SECONDS = 30, 60, 2
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class HelperError(Exception):
    """Failure with a message for the person and an exit status for programs."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Answer:
    """Answer of the site."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        try:
            document = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            document = {}
        self.document: dict[str, Any] = document if isinstance(document, dict) else {}

    @property
    def said(self) -> str:
        """Message from the site, if it gave any."""
        return str(self.document.get("detail") or self.document.get("error_description") or self.document.get("error") or "")


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Handler that follows no redirect, so that a token is never sent to its target."""

    def redirect_request(self, *whatever: Any) -> None:
        """Make no further request; urllib's hook."""


class Site:
    """Client of a Cohort site, with what this program needs."""

    def __init__(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise HelperError(2, "--site must be the site's address, such as https://cohort.example.org")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise HelperError(2, "--site must begin with https://: credentials are not sent in the clear.")
        self.address = f"{parts.scheme}://{parts.netloc}"
        proxies = urllib.request.ProxyHandler({} if parts.hostname in LOOPBACK else None)  # A proxy cannot reach this computer.
        self._opener = urllib.request.build_opener(NoRedirects(), proxies)

    def ask(self, path: str, form: dict[str, str] | None = None, token: str | None = None, method: str = "POST") -> Answer:
        """Send a form, or nothing, and return the answer, whatever its status. Raises HelperError if there is none."""
        headers = {"Accept": "application/json", "User-Agent": "cohort-credentials/1"}
        if token:
            headers["Authorization"] = "Bearer " + token
        body = urllib.parse.urlencode(form or {}).encode()
        # The constructor lets in no other scheme than http and https.
        request = urllib.request.Request(self.address + path, data=body, headers=headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())
        except (OSError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", error)
            raise HelperError(SITE_AWAY, f"{self.address} does not answer ({reason}). Try again later.") from None


class Store:
    """Files on this computer that only you can read: a sign-in per site, and credentials per group."""

    def __init__(self, site: Site) -> None:
        self.folder = folder()
        self._site = "{}-{}".format(
            re.sub(r"[^a-z0-9.-]", "-", urllib.parse.urlsplit(site.address).netloc.lower()),
            hashlib.sha256(site.address.encode()).hexdigest()[:8],
        )

    def sign_in(self) -> dict[str, Any]:
        """Return the tokens, or an empty dictionary."""
        return self._read(f"sign-in-{self._site}.json")

    def keep_sign_in(self, answer: dict[str, Any]) -> None:
        """Keep the tokens of an answer of the token endpoint."""
        kept = {
            "access_token": answer["access_token"],
            "refresh_token": answer["refresh_token"],
            "expires": time.time() + float(answer.get("expires_in", 0)),
        }
        self._write(f"sign-in-{self._site}.json", kept)

    def session(self, group: str) -> dict[str, Any]:
        """Return the group's credentials if they last for a while yet, or an empty dictionary."""
        kept = self._read(self._session(group))
        try:
            until = datetime.strptime(kept["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)  # noqa: UP017
        except (KeyError, TypeError, ValueError):
            return {}
        return kept if until.timestamp() - time.time() > RENEW_SECONDS else {}

    def keep_session(self, group: str, document: dict[str, Any]) -> None:
        """Keep the group's credentials."""
        self._write(self._session(group), document)

    def forget_session(self, group: str) -> None:
        """Remove the group's credentials."""
        self._remove(self._session(group))

    def forget_all(self) -> None:
        """Remove the site's tokens and all its groups' credentials."""
        self._remove(f"sign-in-{self._site}.json")
        for path in self.folder.glob(f"session-{self._site}-*.json"):
            self._remove(path.name)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time go on, so that ten programs that start together ask the site once."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / f"lock-{self._site}").open("a+") as handle:
            _lock(handle)
            yield

    def _session(self, group: str) -> str:
        return f"session-{self._site}-{group}.json"

    def _read(self, name: str) -> dict[str, Any]:
        try:
            kept = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self, name: str, document: dict[str, Any]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.folder / (name + ".new")
        self._remove(new.name)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
            json.dump(document, handle)
        new.replace(self.folder / name)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.folder / name).unlink()


def folder() -> Path:
    """Return the folder of the files, by the convention of the operating system."""
    if os.name == "nt" and os.environ.get("APPDATA"):
        return Path(os.environ["APPDATA"]) / "cohort"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "cohort"


def login(site: Site, store: Store, group: str | None, opens_browser: bool) -> None:
    """Sign this computer in by the device flow (RFC 8628)."""
    name = "{} ({})".format(platform.node() or "a computer", platform.system() or "unknown system")
    asked = site.ask("/identity/o/api/device/code", {"client_id": CLIENT, "scope": SCOPE, "device_name": name})
    code = asked.document
    if asked.status != 200 or "device_code" not in code:
        raise HelperError(OTHER, f"{site.address} did not start a sign-in: {asked.said or asked.status}")
    address = code.get("verification_uri_complete") or code["verification_uri"]
    tell("Your code is {}".format(code["user_code"]))
    tell(f"Open {address} and say yes if it shows the same code.")
    if opens_browser:
        _open(address)
    given = _wait(site, code, name)
    store.forget_all()
    store.keep_sign_in(given)
    tell(f"This computer is signed in to {site.address}.")
    if group:
        tell("A profile for ~/.aws/config, if you have none yet (the group's page gives the same with its region):")
        print(f"[profile cohort-{group}]")
        print(f"credential_process = {_process(site, group)}")


def get(site: Site, store: Store, group: str) -> None:
    """Print the group's credentials as AWS's programs read them from a `credential_process`."""
    document = store.session(group)
    if not document:
        with store.alone():
            # Another process may have fetched them while this one waited for its turn.
            document = store.session(group) or _fetch(site, store, group)
    print(json.dumps(document))


def logout(site: Site, store: Store) -> None:
    """End this computer's sign-in, here and at the site."""
    if not (kept := store.sign_in()):
        raise HelperError(SIGNED_OUT, f"This computer is not signed in to {site.address}.")
    try:
        token = _token(site, store, kept)
        site.ask("/api/credentials/", token=token, method="DELETE")
    except HelperError as problem:
        if problem.status == SITE_AWAY:
            tell(f"{problem} The sign-in is removed here; sign the computer out on the group's page, too.")
    store.forget_all()
    tell(f"This computer is signed out of {site.address}.")


def _fetch(site: Site, store: Store, group: str) -> dict[str, Any]:
    if not (kept := store.sign_in()):
        raise _signed_out(site, group, f"This computer is not signed in to {site.address}.")
    answer = _credentials(site, group, _token(site, store, kept, group))
    if answer.status == 401:
        # The site no longer knows the token, though by its time it should: ask for another, once.
        answer = _credentials(site, group, _refresh(site, store, kept, group))
    if answer.status == 200 and {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"} <= set(answer.document):
        store.keep_session(group, answer.document)
        return answer.document
    if answer.status == 401:
        store.forget_all()
        raise _signed_out(site, group, f"{site.address} has signed this computer out.")
    if answer.status in (403, 404):
        store.forget_session(group)
        raise HelperError(NOT_ALLOWED, answer.said or f"You are not in the group {group}.")
    if answer.status >= 500:
        raise HelperError(SITE_AWAY, answer.said or f"{site.address} has a problem (status {answer.status}). Try again later.")
    raise HelperError(OTHER, answer.said or f"{site.address} answered with status {answer.status}.")


def _credentials(site: Site, group: str, token: str) -> Answer:
    address = "/api/credentials/{}".format(urllib.parse.quote(group, safe=""))
    # AWS is making the access ready; the site stops saying so after a minute.
    while "retry_after" in (answer := site.ask(address, token=token)).document:
        time.sleep(READY_SECONDS)
    return answer


def _token(site: Site, store: Store, kept: dict[str, Any], group: str | None = None) -> str:
    if kept.get("access_token") and kept.get("expires", 0) - time.time() > TIMEOUT_SECONDS:
        return str(kept["access_token"])
    return _refresh(site, store, kept, group)


def _refresh(site: Site, store: Store, kept: dict[str, Any], group: str | None = None) -> str:
    form = {"grant_type": "refresh_token", "refresh_token": kept.get("refresh_token", ""), "client_id": CLIENT}
    answer = site.ask("/identity/o/api/token", form)
    if answer.status == 200 and "access_token" in answer.document:
        store.keep_sign_in({"refresh_token": kept["refresh_token"], **answer.document})
        return str(answer.document["access_token"])
    if answer.status >= 500 or answer.status == 429:
        raise HelperError(SITE_AWAY, f"{site.address} has a problem (status {answer.status}). Try again later.")
    store.forget_all()
    raise _signed_out(site, group, f"This computer's sign-in to {site.address} has ended.")


def _signed_out(site: Site, group: str | None, reason: str) -> HelperError:
    command = "{} login --site {}{}".format(
        _quoted(str(Path(__file__).resolve())), site.address, " --group " + group if group else ""
    )
    return HelperError(SIGNED_OUT, "{} Run: {} {}".format(reason, _quoted(sys.executable or "python3"), command))


def _wait(site: Site, code: dict[str, Any], name: str) -> dict[str, Any]:
    pause, ends = float(code.get("interval", 5)), time.time() + float(code.get("expires_in", 300))
    form = {"grant_type": DEVICE_GRANT, "device_code": code["device_code"], "client_id": CLIENT, "device_name": name}
    while time.time() < ends:
        time.sleep(pause)
        try:
            answer = site.ask("/identity/o/api/token", form)
        except HelperError:
            # A network that is away for a moment; RFC 8628 asks to slow down.
            pause *= 2
            continue
        error = answer.document.get("error")
        if answer.status == 200 and "access_token" in answer.document and "refresh_token" in answer.document:
            return answer.document
        if error == "slow_down":
            pause += 5
        elif error == "access_denied":
            raise HelperError(NOT_ALLOWED, "You said no, or your account is not active. This computer is not signed in.")
        elif error != "authorization_pending" and answer.status < 500:
            break
    raise HelperError(SIGNED_OUT, "The code ran out before you said yes. Run login again.")


def _open(address: str) -> None:
    with contextlib.suppress(webbrowser.Error):
        # One that runs in the terminal would take it over while this program waits.
        browser = webbrowser.get()
        if not isinstance(browser, webbrowser.GenericBrowser) or isinstance(browser, webbrowser.BackgroundBrowser):
            webbrowser.open(address)


def _process(site: Site, group: str) -> str:
    program = "{} {}".format(_quoted(sys.executable or "python3"), _quoted(str(Path(__file__).resolve())))
    return f"{program} get --site {site.address} --group {group}"


def _quoted(word: str) -> str:
    return f'"{word}"' if re.search(r"\s", word) else word


def _lock(handle: TextIO) -> None:
    """Wait for the file's lock, which ends with the process; after a while go on without it."""
    ends = time.time() + LOCK_SECONDS
    while time.time() < ends:
        try:
            if sys.platform == "win32":
                handle.seek(0)
                msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            time.sleep(0.1)


def tell(message: str) -> None:
    """Print a message for a person; standard output is for programs only."""
    print(message, file=sys.stderr, flush=True)


def _slug(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise argparse.ArgumentTypeError("it has small letters, digits and single hyphens, as on the group's page")
    return text


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Credentials for AWS's programs from a Cohort site.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (("login", "sign this computer in"), ("get", "print credentials"), ("logout", "sign this computer out")):
        command = verbs.add_parser(verb, help=text)
        command.add_argument("--site", required=True, help="the site's address, such as https://cohort.example.org")
        command.add_argument("--group", required=verb == "get", type=_slug, help="the group's short name, as in its page's address")
        if verb == "login":
            command.add_argument("--no-browser", action="store_true", help="only print the address to open")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb; an error is reported in one line."""
    chosen = _arguments(words)
    try:
        site = Site(chosen.site)
        store = Store(site)
        if chosen.verb == "login":
            login(site, store, chosen.group, not chosen.no_browser)
        elif chosen.verb == "get":
            get(site, store, chosen.group)
        else:
            logout(site, store)
    except HelperError as problem:
        tell(f"cohort: {problem}")
        return problem.status
    except OSError as error:
        tell(f"cohort: {folder()} cannot be used: {error}")
        return OTHER
    except KeyboardInterrupt:
        tell("cohort: stopped.")
        return OTHER
    return 0


if __name__ == "__main__":
    sys.exit(main())
