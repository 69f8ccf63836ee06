"""What people and scanners get from nginx, with the real site behind it."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from tests.assets.serving import ALWAYS, DOMAIN, Gunicorn, Nginx

HSTS = "max-age=31536000; includeSubDomains; preload"
REQUESTS, CLIENTS = 2000, 8
SLOW = 2


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built documentation."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "operations").mkdir()
    (folder / "index.html").write_text("<h1>Cohort</h1>" + "<p>Read this.</p>" * 200)
    (folder / "operations/index.html").write_text("<h1>Operations</h1>")
    return folder


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, gunicorn: Gunicorn, docs: Path) -> Iterator[Nginx]:
    """Nginx as on a host with certbot, before gunicorn."""
    static = Path(gunicorn.environment["VAR_DIR"]) / "static"
    server = Nginx(
        tmp_path_factory.mktemp("nginx") / "certbot",
        socket=str(gunicorn.path),
        static=str(static),
        docs=str(docs),
        header_seconds=SLOW,
        general_rate=5000,
        general_burst=5000,
    )
    checked = server.test()
    assert checked.returncode == 0, checked.stderr
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("host", [DOMAIN, "203.0.113.7", "www.example.org", "evil.example"])
@pytest.mark.parametrize("path", ["/", "/groups/a/?page=2"])
def test_plain_http_leads_to_the_sites_own_name_by_https(nginx, host, path):
    answer = nginx.plain("GET", path, headers={"Host": host})
    assert answer.status == 301
    assert answer.one("Location") == f"https://{DOMAIN}:{nginx.https_port}{path}"
    assert answer.all("Strict-Transport-Security") == []


def test_another_name_by_https_leads_to_the_sites_own(nginx):
    answer = nginx.secure("GET", "/accounts/login/", headers={"Host": "evil.example"})
    assert answer.status == 301
    assert answer.one("Location") == f"https://{DOMAIN}:{nginx.https_port}/accounts/login/"


def test_lets_encrypts_questions_are_answered_by_plain_http(nginx):
    folder = Path(nginx.values.challenges) / ".well-known/acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("token.thumbprint")
    answer = nginx.plain("GET", "/.well-known/acme-challenge/token", headers={"Host": "any.example"})
    assert (answer.status, answer.text) == (200, "token.thumbprint")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_by_any_name(nginx, path):
    for answer in (nginx.plain("GET", path, headers={"Host": "10.0.0.5"}), nginx.secure("GET", path)):
        # No worker lives here, so /readyz says 503, in its own words.
        assert answer.status == (200 if path == "/healthz" else 503)
        assert answer.text == "ok" or not json.loads(answer.text)["ready"]


def test_the_sign_in_page_comes_with_each_header_once(nginx):
    answer = nginx.secure("GET", "/accounts/login/")
    assert answer.status == 200
    assert "Sign in" in answer.text
    for name in ALWAYS:
        assert len(answer.all(name)) == 1, name
    assert answer.one("Strict-Transport-Security") == HSTS
    assert answer.one("Server") == "nginx"
    assert "Secure" in answer.one("Set-Cookie")


def test_http_2_is_spoken(nginx):
    context = ssl.create_default_context(cafile=f"{nginx.values.letsencrypt}/{DOMAIN}/fullchain.pem")
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", nginx.https_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=DOMAIN) as secured,
    ):
        assert secured.selected_alpn_protocol() == "h2"
        assert secured.version() == "TLSv1.3"


def test_old_tls_is_refused(nginx):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", nginx.https_port), timeout=10) as plain, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(plain, server_hostname=DOMAIN)


def test_static_files_are_kept_for_ever_and_come_compressed(nginx, site):
    names = json.loads((Path(site["VAR_DIR"]) / "static/staticfiles.json").read_text())["paths"]
    hashed = names["cohort/site.css"]
    small = nginx.secure("GET", f"/static/{hashed}", headers={"Accept-Encoding": "gzip, br"})
    plain = nginx.secure("GET", f"/static/{hashed}")
    assert (small.status, plain.status) == (200, 200)
    assert small.one("Content-Encoding") == "gzip"
    assert len(small.body) < len(plain.body) / 2
    assert plain.one("Content-Type").startswith("text/css")
    for answer in (small, plain):
        assert answer.one("Cache-Control") == "public, max-age=315360000, immutable"
        assert answer.one("Vary") == "Accept-Encoding"
        for name in ALWAYS:
            assert len(answer.all(name)) == 1, name
    # The name without the hash may hold something else tomorrow.
    assert "immutable" not in nginx.secure("GET", "/static/cohort/site.css").one("Cache-Control")


def test_a_worker_may_still_work_out_checksums(nginx):
    policy = nginx.secure("GET", "/static/uploads/checksum-worker.js").one("Content-Security-Policy")
    assert "script-src 'self' 'wasm-unsafe-eval'" in policy


@pytest.mark.parametrize(
    "path", ["/static/../settings.py", "/static/%2e%2e/cohort.sqlite3", "/static../cohort.sqlite3", "/static/"]
)
def test_nothing_beside_the_static_files_is_served(nginx, path):
    assert nginx.secure("GET", path).status in (400, 403, 404)


def test_the_documentation(nginx):
    home = nginx.secure("GET", "/docs/", headers={"Accept-Encoding": "gzip"})
    assert (home.status, home.one("Content-Encoding")) == (200, "gzip")
    assert nginx.secure("GET", "/docs/operations/").text == "<h1>Operations</h1>"
    assert nginx.secure("GET", "/docs").one("Location") == "/docs/"
    for name in ALWAYS:
        assert len(home.all(name)) == 1, name


def test_a_missing_page_of_the_documentation_is_told_kindly(nginx):
    answer = nginx.secure("GET", "/docs/nothing/")
    assert answer.status == 404
    assert "nothing at this address" in answer.text
    for name in ALWAYS:
        assert len(answer.all(name)) == 1, name


def test_what_the_client_says_of_where_it_comes_from_is_not_believed(nginx):
    lies = {
        "X-Forwarded-For": "198.51.100.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "X-Real-IP": "198.51.100.1",
        "Forwarded": "for=198.51.100.1;host=evil.example",
        "Proxy": "http://evil.example",
    }
    seen = dict(line.split(": ", 1) for line in nginx.secure("GET", "/probe/seen", headers=lies).text.splitlines())
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert seen["HTTP_X_FORWARDED_PROTO"] == "https"
    assert seen["HTTP_X_FORWARDED_HOST"] == seen["HTTP_HOST"] == f"{DOMAIN}:{nginx.https_port}"
    assert not {"HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_PROXY"} & seen.keys()


def test_metrics_are_not_shown_to_the_world(tmp_path, nginx):
    # 127.0.0.1 is the host itself: it is let through to Django, which asks for the token.
    assert nginx.secure("GET", "/metrics").status == 403
    guarded = (Path(nginx.values.nginx) / "cohort/http.conf").read_text()
    assert re.search(r"geo \$cohort_is_loopback \{\s+default 0;", guarded)


def test_guessing_at_the_sign_in_is_slowed_down(nginx):
    source = "127.0.0.9"
    answers = [nginx.secure("POST", "/accounts/login/", body=b"", source=source) for _ in range(30)]
    statuses = [answer.status for answer in answers]
    # Without a form's token Django refuses each try; nginx lets a burst come so far.
    assert 15 <= statuses.count(403) <= 25, statuses
    refused = answers[-1]
    assert refused.status == 429
    assert "Too many tries" in refused.text
    assert refused.one("Retry-After") == "60"
    for name in ALWAYS:
        assert len(refused.all(name)) == 1, name
    # Whoever only looks at the page, and everybody else, goes on.
    assert nginx.secure("GET", "/accounts/login/", source=source).status == 200
    assert nginx.secure("POST", "/accounts/login/", body=b"", source="127.0.0.10").status == 403


@pytest.mark.parametrize("path", ["/accounts/password/reset/", "/accounts/2fa/authenticate/", "/identity/o/api/token"])
def test_other_doors_are_limited_too(nginx, path):
    source = f"127.0.1.{1 + len(path)}"
    connection = nginx.connect(source)
    statuses = set()
    for _ in range(60):
        connection.request("POST", path, body=b"", headers={"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        body = response.read()
        statuses.add(response.status)
        if response.status == 429 and b"tries" in body:
            break
    connection.close()
    assert 429 in statuses
    if path.startswith("/identity/"):
        assert json.loads(body)["error"] == "temporarily_unavailable"


def test_a_body_that_is_too_large_is_refused_kindly(nginx):
    body = b"x" * (2560 * 1024 + 1)
    page = nginx.secure("POST", "/groups/a/", body=body)
    assert page.status == 413
    assert "more than this page takes" in page.text
    answer = nginx.secure("POST", "/api/uploads/start", body=body)
    assert answer.status == 413
    assert "was not taken" in json.loads(answer.text)["detail"]


def test_the_largest_body_reaches_the_site(nginx):
    form = b"login=" + b"x" * (2560 * 1024 - 6)
    answer = nginx.secure(
        "POST", "/accounts/login/", body=form, headers={"Content-Type": "application/x-www-form-urlencoded"}, source="127.0.0.30"
    )
    assert answer.status == 403
    assert answer.one("Content-Security-Policy")


def test_a_client_that_dribbles_its_headers_is_cut(nginx):
    context = ssl.create_default_context(cafile=f"{nginx.values.letsencrypt}/{DOMAIN}/fullchain.pem")
    with (
        socket.create_connection(("127.0.0.1", nginx.https_port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=DOMAIN) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        client.settimeout(0.25)
        while time.monotonic() - began < SLOW + 8:
            try:
                client.sendall(b"X-A: b\r\n")
                if client.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert SLOW - 0.5 < time.monotonic() - began < SLOW + 8


def test_events_arrive_as_they_are_made(nginx, site):
    gate = Path(site["STREAM_GATE"])
    gate.unlink(missing_ok=True)
    connection = nginx.connect()
    connection.request("GET", "/probe/events/", headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    assert response.read(len(b"data: first\n\n")) == b"data: first\n\n"
    # Only now may the second be made.
    gate.touch()
    assert response.read() == b"data: second\n\n"
    connection.close()


def test_no_request_fails_while_gunicorn_is_reloaded_and_restarted(nginx, gunicorn):
    nginx.secure("GET", "/healthz")
    done, failures, lock = [0], [], threading.Lock()

    def visit(client: int) -> None:
        connection: HTTPSConnection = nginx.connect()
        for number in range(REQUESTS // CLIENTS):
            path = "/accounts/login/" if number % 25 == 0 else "/healthz"
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                outcome = "" if response.status == 200 else f"{path}: {response.status}"
            except OSError as error:
                outcome = f"{path}: {error!r}"
                connection = nginx.connect()
            with lock:
                done[0] += 1
                if outcome:
                    failures.append(outcome)
        connection.close()

    def wait_for(number: int) -> None:
        while done[0] < number:
            time.sleep(0.01)

    booted = gunicorn.booted()
    with ThreadPoolExecutor(CLIENTS) as pool:
        visitors = [pool.submit(visit, client) for client in range(CLIENTS)]
        wait_for(REQUESTS // 5)
        gunicorn.reload()
        wait_for(REQUESTS // 2)
        assert gunicorn.stop() == 0
        gunicorn.start()
        for visitor in visitors:
            visitor.result()
    assert (done[0], failures) == (REQUESTS, [])
    assert gunicorn.booted() >= booted + 4


@pytest.mark.parametrize("trusted", [True, False])
def test_a_load_balancer_is_believed_from_its_own_network_alone(tmp_path, gunicorn, trusted):
    server = Nginx(
        tmp_path / "acm",
        tls="acm",
        vpc="127.0.0.0/24" if trusted else "10.20.0.0/24",
        socket=str(gunicorn.path),
        docs=str(tmp_path),
    )
    server.start()
    try:
        sent = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.66, 198.51.100.1"}
        answer = server.plain("GET", "/probe/seen", headers=sent)
        assert server.plain("GET", "/healthz", headers={"Host": "10.20.0.9"}).status == 200
        assert server.plain("GET", "/accounts/login/").status == 301
        other = server.plain("GET", "/accounts/login/", headers=sent | {"Host": "evil.example"})
        assert other.status == 301
        if trusted:
            seen = dict(line.split(": ", 1) for line in answer.text.splitlines())
            # The right-most address is the balancer's own entry; what stands left of it the client wrote.
            assert (seen["HTTP_X_FORWARDED_FOR"], seen["HTTP_X_FORWARDED_PROTO"]) == ("198.51.100.1", "https")
            page = server.plain("GET", "/accounts/login/", headers=sent)
            assert (page.status, page.one("Strict-Transport-Security")) == (200, HSTS)
            missing = server.plain("GET", "/docs/nothing", headers=sent)
            assert (missing.status, missing.one("Strict-Transport-Security")) == (404, HSTS)
            # The world asks for metrics, through the balancer.
            assert server.plain("GET", "/metrics", headers=sent).status == 404
            assert server.plain("GET", "/metrics", headers=sent | {"Authorization": "Bearer wrong"}).status == 403
        else:
            assert answer.status == 301
    finally:
        server.stop()
