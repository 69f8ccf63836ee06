"""The helper on a member's computer, run as AWS's programs run it, against a site that answers as it is told."""

import ast
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

HELPER = Path(__file__).resolve().parents[3] / "web/credentials/helper/cohort_credentials.py"
CREDENTIALS = "/api/credentials/example-lab"
TOKEN, CODE = "/identity/o/api/token", "/identity/o/api/device/code"


def session(minutes: int = 60) -> dict[str, Any]:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    return {
        "Version": 1,
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }


class FakeSite:
    """Gives each path's answers in turn, the last one for ever, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                site.asked.append((self.path, self.headers.get("Authorization", ""), form))
                waiting = site.answers.get(self.path, [(404, {})])
                status, document = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                if status == 302:
                    self.send_header("Location", "https://elsewhere.example.org/")
                self.end_headers()
                self.wfile.write(text)

            do_DELETE = do_POST  # noqa: N815

            def log_message(self, *whatever: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


class Computer:
    """A home of its own for the helper."""

    def __init__(self, home: Path, site: FakeSite) -> None:
        self.folder, self.site = home / "cohort", site
        # Nothing listens at this proxy, which could not reach this computer in any case.
        proxy = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}
        self._environment = {**os.environ, **proxy, "XDG_CONFIG_HOME": str(home), "BROWSER": "true"}

    def run(self, verb: str, *more: str, group: str = "example-lab", site: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(HELPER), verb, "--site", site or self.site.url, "--group", group, *more]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60, check=False)

    def sign_in(self) -> None:
        self.site.answers[CODE] = [
            (
                200,
                {
                    "device_code": "d",
                    "user_code": "ABCD-EFGH",
                    "verification_uri": f"{self.site.url}/identity/o/device",
                    "expires_in": 60,
                    "interval": 0,
                },
            )
        ]
        self.site.answers[TOKEN] = [
            (400, {"error": "authorization_pending"}),
            (200, {"access_token": "first", "refresh_token": "long", "expires_in": 86400}),
        ]
        done = self.run("login", "--no-browser")
        assert done.returncode == 0, done.stderr
        self.site.asked.clear()


@pytest.fixture
def site() -> Iterator[FakeSite]:
    running = FakeSite()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def computer(tmp_path: Path, site: FakeSite) -> Computer:
    return Computer(tmp_path, site)


def test_it_runs_on_python_3_9_and_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse(HELPER.read_text(), feature_version=(3, 9))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    assert names <= set(sys.stdlib_module_names)


def test_login_shows_the_code_and_where_to_type_it_and_get_uses_what_it_kept(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    site.answers[CREDENTIALS] = [(200, session())]
    done = computer.run("get")
    assert done.returncode == 0
    assert json.loads(done.stdout)["AccessKeyId"] == "ASIAEXAMPLE"
    assert site.asked[0][1] == "Bearer first"


def test_login_prints_a_profile_that_runs_the_helper_where_it_lies(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    site.answers[TOKEN] = [(200, {"access_token": "a", "refresh_token": "r", "expires_in": 60})]
    done = computer.run("login", "--no-browser")
    assert "ABCD-EFGH" in done.stderr
    assert "[profile cohort-example-lab]" in done.stdout
    assert f"{HELPER} get --site {site.url} --group example-lab" in done.stdout


def test_what_it_keeps_only_its_owner_can_read(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    site.answers[CREDENTIALS] = [(200, session())]
    computer.run("get")
    kept = [path for path in computer.folder.iterdir() if not path.name.startswith("lock-")]
    assert len(kept) == 2
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert computer.folder.stat().st_mode & 0o777 == 0o700


def test_credentials_are_kept_until_shortly_before_their_end(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    site.answers[CREDENTIALS] = [(200, session(minutes=6)), (200, session(minutes=4)), (200, session())]
    for expected in (1, 1):
        assert computer.run("get").returncode == 0
        assert site.paths().count(CREDENTIALS) == expected
    for path in computer.folder.glob("session-*"):
        path.unlink()
    computer.run("get")
    computer.run("get")
    assert site.paths().count(CREDENTIALS) == 3


def test_programs_that_start_together_ask_once(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    site.answers[CREDENTIALS] = [(200, session())]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: computer.run("get"), range(6)))
    assert {item.returncode for item in done} == {0}
    assert len(site.asked) == 1


def test_an_old_access_token_is_replaced(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    site.answers[CREDENTIALS] = [(401, {"detail": "Unauthorized"}), (200, session())]
    site.answers[TOKEN] = [(200, {"access_token": "second", "refresh_token": "long", "expires_in": 86400})]
    assert computer.run("get").returncode == 0
    assert [authorization for path, authorization, _ in site.asked if path == CREDENTIALS] == ["Bearer first", "Bearer second"]
    (form,) = [form for path, _, form in site.asked if path == TOKEN]
    assert form == {"grant_type": "refresh_token", "refresh_token": "long", "client_id": "cohort-cli"}


def test_who_never_signed_in_is_told_the_command(computer: Computer, site: FakeSite) -> None:
    done = computer.run("get")
    assert done.returncode == 3
    assert done.stdout == ""
    assert re.search(r"not signed in.*login --site \S+ --group example-lab", done.stderr)
    assert len(done.stderr.splitlines()) == 1


def test_who_was_signed_out_at_the_site_is_told_and_keeps_nothing(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    site.answers[CREDENTIALS] = [(401, {})]
    site.answers[TOKEN] = [(400, {"error": "invalid_grant"})]
    done = computer.run("get")
    assert done.returncode == 3
    assert "has ended" in done.stderr
    assert not list(computer.folder.glob("sign-in-*"))


@pytest.mark.parametrize(
    ("status", "code"), [(404, 4), (403, 4), (429, 6), (409, 6), (503, 5), (500, 5), (502, 5), (302, 6), (200, 6)]
)
def test_each_refusal_has_a_status_and_the_sites_own_words(computer: Computer, site: FakeSite, status: int, code: int) -> None:
    computer.sign_in()
    site.answers[CREDENTIALS] = [(status, {"detail": "The site's own words."})]
    done = computer.run("get")
    assert done.returncode == code
    assert "The site's own words." in done.stderr
    assert done.stdout == ""


def test_a_site_that_is_away_is_said_to_be_and_the_sign_in_stays(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    site.server.shutdown()
    site.server.server_close()
    done = computer.run("get")
    assert done.returncode == 5
    assert "does not answer" in done.stderr
    assert list(computer.folder.glob("sign-in-*"))


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [("access_denied", 4, "said no"), ("expired_token", 3, "ran out"), ("invalid_grant", 3, "ran out")],
)
def test_a_sign_in_that_comes_to_nothing_is_explained(
    computer: Computer, site: FakeSite, answer: str, code: int, says: str
) -> None:
    computer.sign_in()
    site.answers[TOKEN] = [(400, {"error": answer})]
    done = computer.run("login", "--no-browser")
    assert done.returncode == code
    assert says in done.stderr


def test_logout_ends_it_at_the_site_and_here(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    site.answers["/api/credentials/"] = [(204, {})]
    assert computer.run("logout").returncode == 0
    assert site.asked[0][:2] == ("/api/credentials/", "Bearer first")
    assert [path.name for path in computer.folder.iterdir() if not path.name.startswith("lock-")] == []
    assert computer.run("logout").returncode == 3


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("http://cohort.example.org", "example-lab"),
        ("ftp://cohort.example.org", "example-lab"),
        ("nonsense", "example-lab"),
        ("https://cohort.example.org", "../../etc"),
        ("https://cohort.example.org", "Example Lab"),
    ],
)
def test_addresses_and_groups_that_make_no_sense_are_refused(computer: Computer, address: str, group: str) -> None:
    done = computer.run("get", site=address, group=group)
    assert done.returncode == 2
    assert done.stdout == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\x00\xff"])
def test_a_file_that_was_spoilt_counts_as_none(computer: Computer, site: FakeSite, text: str) -> None:
    computer.sign_in()
    for path in computer.folder.glob("sign-in-*"):
        path.write_text(text)
    assert computer.run("get").returncode == 3


def test_it_waits_for_access_that_is_being_made_ready(computer: Computer, site: FakeSite) -> None:
    computer.sign_in()
    soon = (503, {"detail": "Your access is being made ready on AWS.", "retry_after": 2})
    site.answers[CREDENTIALS] = [soon, (200, session())]
    assert computer.run("get").returncode == 0
    assert site.paths().count(CREDENTIALS) == 2
