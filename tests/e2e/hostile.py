"""A person's home and shell in which everything that AWS's SDKs and command lines look for leads elsewhere."""

import socket
import stat
import threading
from pathlib import Path
from typing import Self

from tests.calls import watched

CONFIG = """[default]
region = eu-north-1
ignore_configured_endpoint_urls = true
use_fips_endpoint = true
credential_process = {trap}
services = elsewhere
[profile production]
region = eu-north-1
credential_process = {trap}
use_dualstack_endpoint = true
[services elsewhere]
s3 =
  endpoint_url = http://aws.invalid:9000
sts =
  endpoint_url = http://aws.invalid:9001
"""
CREDENTIALS = "[default]\ncredential_process = {trap}\n[production]\ncredential_process = {trap}\n"


class Hostile:
    """The home, the shell's variables, and a proxy that keeps everybody waiting. Use as a context manager."""

    def __init__(self, home: Path) -> None:
        self._home, self._touched, self._outside = home, home / "credential-process-ran", home / "asked-outside"
        self._proxied: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        (home / ".aws").mkdir(parents=True)
        trap = home / "trap"
        trap.write_text(f"#!/bin/sh\ntouch '{self._touched}'\nexit 1\n")
        trap.chmod(trap.stat().st_mode | stat.S_IXUSR)
        (home / ".aws/config").write_text(CONFIG.format(trap=trap))
        (home / ".aws/credentials").write_text(CREDENTIALS.format(trap=trap))
        (home / ".cdk.json").write_text(f'{{"profile": "production", "proxy": "{self._proxy}"}}')

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.close()

    @property
    def environment(self) -> dict[str, str]:
        """What the person's shell has set."""
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"), self._proxy)
        own = {
            "HOME": str(self._home),
            "AWS_PROFILE": "production",
            "AWS_ENDPOINT_URL_S3": "http://aws.invalid:9002",
            "AWS_USE_FIPS_ENDPOINT": "true",
            "AWS_SESSION_TOKEN": "of-another-account",
            "AWS_CONFIG_FILE": str(self._home / ".aws/config"),
            "CDK_PROFILE": "production",
            "npm_config_https_proxy": self._proxy,
            # Of another project.
            "DATABASE_URL": f"sqlite:///{self._home}/other.sqlite3",
            "DEBUG": "true",
            "DJANGO_SETTINGS_MODULE": "other.settings",
            # As for LocalStack, whose names ministack reads.
            "SERVICES": "dynamodb",
        }
        return watched(own | proxies, self._outside)

    def assert_nothing_was_asked(self) -> None:
        """Nobody asked another machine or the proxy for anything, or ran the credential process."""
        assert self._proxied == []
        assert not (self._home / "other.sqlite3").exists()
        assert not self._touched.exists()
        assert (self._outside.read_text() if self._outside.exists() else "") == ""

    @property
    def _proxy(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._proxied.append(connection.recv(200))
