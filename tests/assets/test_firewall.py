"""The host's firewall, for real in network namespaces: who reaches the metadata service, and which ports are open. Needs root."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

RULES = Path(__file__).resolve().parents[2] / "assets/nftables/cohort.nft"
IP, NFT = shutil.which("ip") or "/usr/sbin/ip", shutil.which("nft") or "/usr/sbin/nft"
NOBODY = pwd.getpwnam("nobody").pw_uid
# Stands for cohort-worker, whom the machine that tests does not know.
WORKER = 54321
PORTS = (22, 80, 443, 8000)
METADATA = ("169.254.169.254", "fd00:ec2::254")
# Servers on every address; a line on standard output once they listen, then until standard input ends.
SERVE = """
import socket, sys, threading
def serve(port):
    server = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    def answer():
        while True:
            connection, _ = server.accept()
            connection.close()
    threading.Thread(target=answer, daemon=True).start()
for port in {ports}:
    serve(port)
print("listening", flush=True)
sys.stdin.read()
"""
CONNECT = """
import encodings.idna, os, socket, sys  # all before the other user may read nothing of Python
os.setgroups([]); os.setgid(65534); os.setuid(int(sys.argv[3]))
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1).close()
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run([IP, "netns", "list"], capture_output=True, check=False).returncode != 0,
    reason="NOT TESTED: the firewall needs root and network namespaces. Run the tests as root to test it.",
)


def rules() -> str:
    text = RULES.read_text()
    assert "{ root, cohort-worker }" in text
    return text.replace("cohort-worker }", f"{WORKER} }}")


class Namespaces:
    """A host and somebody outside, joined by a cable."""

    def __init__(self, name: str) -> None:
        self.host, self.outside = f"{name}-h", f"{name}-o"

    def run(self, where: str, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [IP, "netns", "exec", where, *words], input=text, capture_output=True, text=True, check=False, timeout=30
        )

    def set_up(self) -> None:
        commands = [
            f"netns add {self.host}",
            f"netns add {self.outside}",
            f"-n {self.host} link set lo up",
            f"-n {self.host} addr add {METADATA[0]}/32 dev lo",
            f"-n {self.host} addr add {METADATA[1]}/128 dev lo",
            f"-n {self.host} link add cable type veth peer name cable netns {self.outside}",
            f"-n {self.host} addr add 10.99.0.1/24 dev cable",
            f"-n {self.outside} addr add 10.99.0.2/24 dev cable",
            f"-n {self.host} link set cable up",
            f"-n {self.outside} link set cable up",
        ]
        for command in commands:
            subprocess.run([IP, *command.split()], check=True)

    def tear_down(self) -> None:
        for name in (self.host, self.outside):
            subprocess.run([IP, "netns", "del", name], check=False, capture_output=True)

    def reaches(self, where: str, address: str, port: int, uid: int = 0) -> bool:
        return self.run(where, sys.executable, "-c", CONNECT, address, str(port), str(uid)).returncode == 0


@pytest.fixture(scope="module")
def namespaces() -> Iterator[Namespaces]:
    both = Namespaces(f"cohort{os.getpid()}")
    try:
        both.set_up()
        serve = [IP, "netns", "exec", both.host, sys.executable, "-c", SERVE.format(ports=PORTS)]
        with subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as servers:
            assert servers.stdin is not None
            assert servers.stdout is not None
            assert servers.stdout.readline() == "listening\n"
            yield both
            servers.stdin.close()
    finally:
        both.tear_down()


@needs_root
def test_without_the_rules_everybody_reaches_everything(namespaces: Namespaces) -> None:
    namespaces.run(namespaces.host, NFT, "flush", "ruleset")
    assert namespaces.reaches(namespaces.host, METADATA[0], 80, NOBODY), "otherwise the tests below would show nothing"
    assert namespaces.reaches(namespaces.outside, "10.99.0.1", 22)


@needs_root
@pytest.mark.parametrize("address", METADATA)
def test_only_root_and_the_worker_reach_the_metadata_service(namespaces: Namespaces, address: str) -> None:
    loaded = namespaces.run(namespaces.host, NFT, "-f", "-", text=rules())
    assert loaded.returncode == 0, loaded.stderr
    reached = {uid: namespaces.reaches(namespaces.host, address, 80, uid) for uid in (0, WORKER, WORKER + 1, NOBODY)}
    assert reached == {0: True, WORKER: True, WORKER + 1: False, NOBODY: False}
    assert namespaces.reaches(namespaces.host, "127.0.0.1", 8000, NOBODY), "nothing else is taken from anybody"


@needs_root
def test_only_the_site_s_ports_are_open_from_outside(namespaces: Namespaces) -> None:
    # Twice: loading replaces what was loaded.
    for _ in range(2):
        loaded = namespaces.run(namespaces.host, NFT, "-f", "-", text=rules())
        assert loaded.returncode == 0, loaded.stderr
    assert namespaces.run(namespaces.host, NFT, "list", "tables").stdout.split() == ["table", "inet", "cohort"]
    reached = {port: namespaces.reaches(namespaces.outside, "10.99.0.1", port) for port in PORTS}
    assert reached == {22: False, 80: True, 443: True, 8000: False}


@needs_root
def test_the_rules_are_sound() -> None:
    done = subprocess.run([NFT, "-c", "-f", "-"], input=rules(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
