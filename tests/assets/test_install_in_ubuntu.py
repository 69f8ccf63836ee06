"""The install scripts in a real Ubuntu 24.04, made by debootstrap: users, settings, packages, database, and the site answering.

It takes minutes and the internet: COHORT_SLOW=1 as root. What a chroot cannot show: systemd (its stand-in here starts the web
process and the worker as their units do, without the units' hardening), attaching and mounting the volume, the address, certbot,
the CloudWatch agent, and ARM (it is the architecture of the machine that tests).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets.install.settings_files import COMMON, WEB, WORKER
from stacks.site.application import pack
from tests.assets.host_root import SECRET

MIRROR = "http://archive.ubuntu.com/ubuntu"
# Later releases of Ubuntu are made as this one is; not every Debian knows all their names.
LIKE = "/usr/share/debootstrap/scripts/gutsy"
PACKAGES = "ca-certificates,libcap2-bin,nftables,nginx-light,openssl,python3-venv,sqlite3"
MISSING = [name for name in ("debootstrap", "chroot") if not shutil.which(name)]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
pytestmark = [
    pytest.mark.skipif(
        os.environ.get("COHORT_SLOW") != "1" or os.geteuid() != 0 or bool(MISSING),
        reason="NOT TESTED: installing in a real Ubuntu takes minutes. COHORT_SLOW=1 as root, with debootstrap, tests it.",
    ),
    pytest.mark.timeout(1500),
]
HOST = {
    "REGION": "us-east-1",
    "ACCOUNT": "111122223333",
    "DOMAIN": "cohort.example.org",
    "EMAIL": "a@example.org",
    "TLS": "certbot",
    "SIZE": "small",
    "STATE_BUCKET": "cohort-state",
    "BACKUP_BUCKET": "cohort-backups",
    "BUCKET_PATTERNS": "cohort-*",
    "LOG_GROUP": "/cohort/host",
    "WEB_ROLE_ARN": "arn:aws:iam::111122223333:role/cohort-host/cohort-web",
}
# systemd's part, as far as the two processes go: users, groups, umask and settings as in the units.
SYSTEMCTL = f"""#!/bin/bash
echo "systemctl $*" >> /calls
# A restart ends what ran before.
case "$*" in restart*cohort-web.service*) ;; *) exit 0;; esac
[ ! -e /started ] || {{ kill $(cat /started) || true; sleep 3; rm /started; }}
cd /opt/cohort/current
umask 0007
as() {{ exec setpriv --reuid "$1" --regid "$1" --groups "$2" --inh-caps=-all --no-new-privs "${{@:3}}"; }}
set -a
(. {COMMON}; . {WORKER}; HOME=/var/lib/cohort-worker PATH=$PWD/.venv/bin:$PATH
 as cohort-worker cohort $(sed -n s/^ExecStart=//p /etc/systemd/system/cohort-worker.service) >> /worker.log 2>&1) &
echo $! >> /started
install -d -o cohort-web /run/web
(. {COMMON}; . {WEB}; HOME=/var/lib/cohort-web
 as cohort-web cohort $(sed -n s/^ExecStart=//p /etc/systemd/system/cohort-web.service) \
   --workers 2 --bind unix:/run/web/web.sock >> /web.log 2>&1) &
echo $! >> /started
ln -sf /run/web/web.sock /run/cohort-web.sock
"""
# The boot script's steps that a chroot can take, in its order.
BOOT = """
import sys
from pathlib import Path
from assets.install import certificate, install, settings_files, users
from assets.install.host import host_values
host = host_values()
for _ in range(2):
    users.make_users()
    users.make_folders()
settings_files.write_settings(host, {"SECRET_KEY": sys.argv[1], "EMAIL_URL": "console:", "BACKUP_STORE": "/var/lib/cohort/backups"})
certificate.ensure_certificate(host)
install.install(host["APP_SHA256"])
"""


class Ubuntu:
    """A root of Ubuntu 24.04."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str, check: bool = True, cwd: str = "/") -> str:
        """Run it in there and return what it says."""
        kept = {name: value for name, value in os.environ.items() if name in ("PIP_CERT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")}
        command = ["chroot", str(self.folder), "/usr/bin/env", f"--chdir={cwd}", *words]
        done = subprocess.run(
            command, env={"PATH": PATH, **kept}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert not (check and done.returncode), done.stdout
        return done.stdout

    def stop(self) -> None:
        """End what the stand-in for systemd started."""
        started = self.folder / "started"
        for pid in started.read_text().split() if started.exists() else []:
            subprocess.run(["/bin/kill", pid], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def ubuntu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ubuntu]:
    folder = tmp_path_factory.mktemp("ubuntu") / "root"
    # Whatever signs Ubuntu's packages, a Debian that tests has not got its keys; nothing of this root is ever used.
    bootstrap = ["debootstrap", "--no-check-gpg", "--variant=minbase", f"--include={PACKAGES}", "--components=main,universe"]
    done = subprocess.run([*bootstrap, "noble", str(folder), MIRROR, LIKE], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NOT TESTED: no Ubuntu could be made: {(done.stdout + done.stderr)[-300:]}")
    for path in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"):
        shutil.copyfile(f"/{path}", folder / path)
    (folder / "usr/local/sbin/systemctl").write_text(SYSTEMCTL)
    # Rules would be loaded into the machine that tests; they are checked against the users of this root all the same.
    (folder / "usr/local/sbin/nft").write_text('#!/bin/sh\nexec /usr/sbin/nft --check "$@"\n')
    for name in ("systemctl", "nft"):
        (folder / "usr/local/sbin" / name).chmod(0o755)
    one = Ubuntu(folder)
    mounts = [("proc", "proc"), ("sysfs", "sys"), ("tmpfs", "dev/shm")]
    try:
        for kind, place in mounts:
            (folder / place).mkdir(exist_ok=True)
            subprocess.run(["/bin/mount", "-t", kind, kind, str(folder / place)], check=True)
        yield one
    finally:
        one.stop()
        for _, place in reversed(mounts):
            subprocess.run(["/bin/umount", "--lazy", str(folder / place)], check=False)
        if not list(folder.glob("proc/*")):
            shutil.rmtree(folder)


def test_a_release_is_installed_and_the_site_gets_ready(ubuntu: Ubuntu, tmp_path: Path) -> None:
    archive = pack(tmp_path)
    values = {**HOST, "APP_SHA256": archive.sha256}
    (ubuntu.folder / "etc/cohort").mkdir()
    (ubuntu.folder / "etc/cohort/host.env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    release = f"/opt/cohort/releases/{archive.sha256}"
    (ubuntu.folder / release[1:]).mkdir(parents=True)
    shutil.unpack_archive(archive.path, ubuntu.folder / release[1:])
    said = ubuntu.run("python3", "-c", BOOT, SECRET, cwd=release, check=False)
    logs = "".join(path.read_text()[-2000:] for path in (ubuntu.folder / "web.log", ubuntu.folder / "worker.log") if path.exists())
    print(said, logs)
    assert "the site is ready" in said, said + logs
    assert SECRET not in said + logs

    # Who may read and write what, asked as those users.
    def may(user: str, test: str) -> bool:
        groups = {"cohort-web": "cohort", "cohort-worker": "cohort,cohort-web", "www-data": "www-data"}[user]
        sh = f"setpriv --reuid {user} --regid {user} --groups {groups} sh -c '{test}' && echo yes"
        return "yes" in ubuntu.run("sh", "-c", sh, check=False)

    for path in (COMMON, WEB, WORKER):
        assert oct((ubuntu.folder / path[1:]).stat().st_mode)[-3:] == "600"
        assert not may("cohort-web", f"cat {path}")
    assert may("cohort-web", "test -w /var/lib/cohort/cohort.sqlite3")
    assert may("cohort-worker", "test -w /var/lib/cohort/cohort.sqlite3")
    assert not may("www-data", "cat /var/lib/cohort/cohort.sqlite3")
    assert may("www-data", "test -r /var/lib/cohort/static/staticfiles.json")
    assert not may("cohort-web", f"touch {release}/manage.py")
    assert not may("cohort-worker", f"touch {release}/manage.py")

    # The operator's command, and what nginx makes of the files of its package and ours together.
    assert "No changes detected" in ubuntu.run("cohort", "makemigrations", "--check", "--dry-run")
    assert "test is successful" in ubuntu.run("nginx", "-t")

    # Again, as a second release of the same content: a backup is made first, and packages are there already.
    again = ubuntu.run("bash", f"{release}/assets/install/install-release.sh", "--sha256", archive.sha256, check=False)
    print(again)
    assert "has its packages" in again, again
    assert "backed the database up" in again, again
