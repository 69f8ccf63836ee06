"""A real nginx before a real gunicorn that serves the real site: on loopback ports, in a folder of the test's own."""

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from assets.render import Values, render
from local_aws.server import free_port

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "localhost"
# On every answer to a browser, exactly once.
ALWAYS = ("Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
DISTRIBUTION = Path("/etc/nginx")
WORKERS = 2
# sd_listen_fds(3): the first descriptor is 3, and LISTEN_PID is the process itself.
HANDOVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def need_nginx() -> str:
    """Where nginx is; the test is skipped, loudly, where it is not."""
    if NGINX is None or not (DISTRIBUTION / "nginx.conf").exists():
        pytest.skip("nginx is not here, so what it serves is NOT TESTED: apt-get install nginx openssl")
    return NGINX


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Each value of a header, as often as it was sent."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that must be there exactly once."""
        (value,) = self.all(name)
        return value

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()


@dataclass
class Gunicorn:
    """gunicorn by the project's own configuration, with a socket that somebody else holds, as systemd does."""

    folder: Path
    environment: dict[str, str]
    listener: socket.socket = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(4096)

    @property
    def path(self) -> Path:
        """The socket."""
        return self.folder / "web.sock"

    def start(self) -> None:
        """Start it, and return without waiting: whoever comes waits in the socket."""
        command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "assets/gunicorn_conf.py")]
        number = self.listener.fileno()
        with (self.folder / "gunicorn.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", HANDOVER, str(number), *command, "tests.assets.streaming_app"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(number,),
            )

    def reload(self) -> None:
        """As ExecReload of the unit does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> int:
        """As systemd stops the unit."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(45)
        self.process = None
        return status

    def booted(self) -> int:
        """How many workers were started so far."""
        return (self.folder / "gunicorn.log").read_text().count("Booting worker")

    def close(self) -> None:
        """End it and give the socket back."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.listener.close()
        self.path.unlink(missing_ok=True)


class Nginx:
    """nginx with the distribution's own main configuration, where only paths are replaced, and the rendered site."""

    def __init__(self, folder: Path, **values: object) -> None:
        self.folder = folder
        self.http_port, self.https_port = free_port(), free_port()
        folder.mkdir(parents=True)
        self.values = Values(
            domain=DOMAIN,
            nginx=str(folder / "rendered/nginx"),
            challenges=str(folder / "challenges"),
            access_log=str(folder / "access.log"),
            letsencrypt=str(folder / "letsencrypt"),
            addresses=("127.0.0.1:",),
            http_port=self.http_port,
            https_port=self.https_port,
            **values,  # type: ignore[arg-type]
        )
        render(self.values, folder / "rendered")
        make_certificate(folder / "letsencrypt" / DOMAIN)
        self._main = folder / "nginx.conf"
        self._main.write_text(self._main_configuration())
        self._process: subprocess.Popen[bytes] | None = None

    def _main_configuration(self) -> str:
        text = (DISTRIBUTION / "nginx.conf").read_text()
        text = re.sub(r"^user .*;$", "user root;" if os.geteuid() == 0 else "", text, flags=re.MULTILINE)
        text = re.sub(r"include /etc/nginx/(modules-enabled|conf\.d)/.*;", "", text)
        text = text.replace("/etc/nginx/sites-enabled", f"{self.values.nginx}/sites-enabled").replace(
            "/var/log/nginx", str(self.folder)
        )
        text = text.replace("/run/nginx.pid", str(self.folder / "nginx.pid"))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        own = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
        return text.replace("http {", f"http {{\n{own}", 1)

    def test(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t`."""
        return subprocess.run(self._command("-t"), capture_output=True, text=True, check=False, timeout=20)

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self.folder / "nginx.log").open("ab") as log:
            self._process = subprocess.Popen(self._command("-g", "daemon off;"), stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.http_port), timeout=1).close()
                return
            except OSError:
                assert self._process.poll() is None, (self.folder / "nginx.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def _command(self, *words: str) -> list[str]:
        error_log = str(self.folder / "error.log")
        return [need_nginx(), "-p", str(self.folder), "-e", error_log, "-c", str(self._main), *words]

    def plain(self, method: str, path: str, *, headers: dict[str, str] | None = None, source: str = "127.0.0.1") -> Answer:
        """Ask by HTTP."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20, source_address=(source, 0))
        return ask(connection, method, path, headers={"Host": DOMAIN} | (headers or {}))

    def secure(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None, source: str = "127.0.0.1"
    ) -> Answer:
        """Ask by HTTPS."""
        return ask(self.connect(source), method, path, body=body, headers=headers or {})

    def connect(self, source: str = "127.0.0.1") -> http.client.HTTPSConnection:
        """A connection by HTTPS that believes the site's certificate, and no other."""
        trusted = ssl.create_default_context(cafile=str(self.folder / "letsencrypt" / DOMAIN / "fullchain.pem"))
        return http.client.HTTPSConnection(DOMAIN, self.https_port, timeout=30, context=trusted, source_address=(source, 0))


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str]
) -> Answer:
    """One request and its answer; the connection is closed."""
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def make_certificate(folder: Path) -> None:
    """A certificate signed by itself, where certbot would have put the real one."""
    folder.mkdir(parents=True)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"),
            *("-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}"),
            *("-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")),
        ],
        check=True,
        capture_output=True,
    )


def site_environment(var: Path, **settings: str) -> dict[str, str]:
    """The settings of a site that others reach, in a folder of its own, with nothing of AWS."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "VAR_DIR": str(var),
        "SECRET_KEY": "only-for-tests-" * 4,
        "COHORT_ACCOUNT": "111122223333",
        "COHORT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SITE_URL": f"https://{DOMAIN}",
        "ALLOWED_HOSTS": DOMAIN,
        "TRUSTED_PROXIES": "1",
        "COHORT_WEB_WORKERS": str(WORKERS),
        "STREAM_GATE": str(var / "gate"),
        **settings,
    }


def manage(environment: dict[str, str], *words: str) -> None:
    """A command of manage.py that has to succeed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
