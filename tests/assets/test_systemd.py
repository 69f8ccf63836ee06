"""The units: what systemd's own tools say of them, and whether the commands in them do what they are for."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.assets.serving import ROOT

UNITS = ROOT / "assets/systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
CURRENT = "/opt/cohort/current"
ANALYZE = shutil.which("systemd-analyze")
MAX_EXPOSED = 3.0
WORKER_STOP_SECONDS = 60
# What needs AWS, and is run with fakes by the tests of its own part.
ON_AWS = {"cohort-metrics.service", "cohort-volume.service", "cohort-web-credentials.service"}
# What changes the machine itself, and knows no setting and no secret of the site.
BY_ROOT = {"cohort-volume.service"}
ONCE = [name for name in SERVICES if "Type=oneshot" in (UNITS / name).read_text()]


def need_systemd() -> str:
    """Where systemd-analyze is; the test is skipped, loudly, where it is not."""
    if ANALYZE is None:
        pytest.skip("systemd-analyze is not here, so the units are NOT CHECKED: apt-get install systemd")
    return ANALYZE


def settings_of(name: str, section: str = "Service") -> dict[str, list[str]]:
    """A section's settings, each with all its values."""
    found: dict[str, list[str]] = {}
    inside = ""
    for line in (UNITS / name).read_text().splitlines():
        if line.startswith("["):
            inside = line.strip("[]")
        elif inside == section and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def command(name: str) -> list[str]:
    """The unit's command, with this checkout in the place of the release and this Python in that of its own."""
    (line,) = settings_of(name)["ExecStart"]
    line = line.replace(f"{CURRENT}/.venv/bin/python", sys.executable).replace(CURRENT, str(ROOT))
    line = line.replace("/usr/bin/python3", sys.executable)
    return shlex.split(line)


def test_every_unit_of_the_host_is_there():
    wanted = {"cohort-web.socket", "cohort-web.service", "cohort-worker.service"}
    for timed in ("web-credentials", "backup", "cleanup", "drift", "sweep", "sessions", "metrics", "volume"):
        wanted |= {f"cohort-{timed}.service", f"cohort-{timed}.timer"}
    assert {path.name for path in UNITS.iterdir()} == wanted


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_may_do_more_than_it_needs(name):
    done = subprocess.run(
        [need_systemd(), "security", "--offline=true", f"--threshold={MAX_EXPOSED * 10:.0f}", "--no-pager", str(UNITS / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (level,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert float(level) <= MAX_EXPOSED


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """An empty root with the units, and with what their commands name."""
    root = tmp_path_factory.mktemp("host")
    (root / "etc/systemd/system").mkdir(parents=True)
    for unit in UNITS.iterdir():
        (root / "etc/systemd/system" / unit.name).write_text(unit.read_text())
    system = Path("/usr/lib/systemd/system")
    if system.is_dir():
        shutil.copytree(system, root / "usr/lib/systemd/system", symlinks=True)
    for program in (f"{CURRENT}/.venv/bin/python", "/bin/kill", "/usr/bin/python3"):
        path = root / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return root


@pytest.mark.parametrize("name", [*SERVICES, *TIMERS, "cohort-web.socket"])
def test_systemd_finds_no_fault(host, name):
    done = subprocess.run(
        [need_systemd(), "verify", f"--root={host}", "--man=false", "--recursive-errors=no", f"/etc/systemd/system/{name}"],
        capture_output=True,
        text=True,
        check=False,
    )
    # What it says of the distribution's own units is not ours.
    told = [line for line in (done.stdout + done.stderr).splitlines() if "cohort" in line]
    assert (done.returncode, told) == (0, []), done.stderr


@pytest.mark.parametrize("name", TIMERS)
def test_timers_are_read_as_meant(name):
    timer = settings_of(name, "Timer")
    assert timer["Unit"] == [name.replace(".timer", ".service")]
    for calendar in timer.get("OnCalendar", []):
        done = subprocess.run([need_systemd(), "calendar", calendar], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert timer.get("OnCalendar") or (timer["OnBootSec"] and timer["OnUnitActiveSec"])


def test_the_clean_up_is_at_five_past_four_and_the_backup_each_hour():
    assert settings_of("cohort-cleanup.timer", "Timer")["OnCalendar"] == ["*-*-* 04:05:00"]
    assert settings_of("cohort-backup.timer", "Timer")["OnCalendar"] == ["hourly"]
    # What the timer makes is thinned out; a copy made by hand is not.
    assert settings_of("cohort-backup.service", "Service")["ExecStart"][0].endswith(" manage.py backup create --scheduled")


@pytest.mark.parametrize("name", SERVICES)
def test_services_have_their_own_users_and_settings(name):
    unit = settings_of(name)
    if name in BY_ROOT:
        assert (unit["User"], unit.get("EnvironmentFile", [])) == (["root"], [])
        assert (unit["PrivateNetwork"], unit["CapabilityBoundingSet"]) == (["yes"], ["CAP_SYS_RESOURCE"])
        return
    is_webs = name in ("cohort-web.service", "cohort-sessions.service")
    user = "cohort-web" if is_webs else "cohort-worker"
    assert unit["User"] == [user]
    assert unit["EnvironmentFile"] == ["/etc/cohort/common.env", f"/etc/cohort/{'web' if is_webs else 'worker'}.env"]
    # The instance metadata service hands out the worker's rights.
    assert unit.get("IPAddressDeny", []) == (["169.254.169.254 fd00:ec2::254"] if is_webs else [])
    assert unit["UMask"] == ["0007"]


def test_only_node_may_write_code_that_it_runs():
    without = [name for name in SERVICES if "MemoryDenyWriteExecute" not in settings_of(name)]
    assert without == ["cohort-worker.service"]


def test_the_session_on_aws_outlives_what_fetched_it():
    unit = settings_of("cohort-web-credentials.service")
    assert (unit["Group"], unit["RuntimeDirectory"]) == (["cohort-web"], ["cohort-web"])
    assert unit["RuntimeDirectoryPreserve"] == ["yes"]
    # It gives the file to the web process's group.
    assert "@chown" in unit["SystemCallFilter"]


@pytest.mark.parametrize("name", [name for name in ONCE if name not in ON_AWS])
def test_what_timers_start_does_its_work(name, site, tmp_path):
    environment = site | {"BACKUP_STORE": str(tmp_path / "backups"), "COHORT_MANIFEST_STORE": str(tmp_path / "manifests")}
    done = subprocess.run(command(name), cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert "Unknown command" not in done.stderr, f"{name} starts a command that does not exist: {done.stderr}"
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(ON_AWS))
def test_what_timers_start_on_aws_exists(name, site):
    done = subprocess.run([*command(name), "--help"], cwd=ROOT, env=site, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{name} starts a command that does not exist: {done.stderr}"


def test_the_worker_starts_and_stops_as_its_unit_says(site, tmp_path):
    unit = settings_of("cohort-worker.service")
    assert unit["TimeoutStopSec"] == [str(WORKER_STOP_SECONDS)]
    log = tmp_path / "worker.log"
    environment = site | {"COHORT_MANIFEST_STORE": str(tmp_path / "manifests"), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with log.open("wb") as output:
        process = subprocess.Popen(command("cohort-worker.service"), cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while not log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WORKER_STOP_SECONDS) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
