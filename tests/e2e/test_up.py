"""`make up`: starts everything, says so, starts again in seconds, and stops what it started and nothing else."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from local_aws.server import free_port
from tests.control_plane.processes import is_alive, wait_until
from tests.e2e.hostile import Hostile
from tests.e2e.site import ROOT, Site, children_of
from tests.e2e.visitor import Visitor

# Longer than the embedded AWS leaves between two savings of its state.
SAVED_SECONDS = 7

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_it_starts_stops_and_starts_again_with_all_it_knew(tmp_path: Path) -> None:
    site = Site(tmp_path / "var", REQUIRE_APPROVAL="always")
    with Hostile(tmp_path / "person") as person:
        site.surround(person.environment)
        run_all_of_it(site)
        person.assert_nothing_was_asked()


def run_all_of_it(site: Site) -> None:
    printed = site.start()
    assert f"Ready: {site.url} (sign in as admin@example.org" in printed
    assert site.administrator[1] not in printed
    assert [group["slug"] for group in site.must("group", "list")] == ["demo-lab"]
    the_demonstration_is_approved_where_the_start_says(site, printed)
    before = site.credentials("demo-lab", "ada@example.org")
    assert run_the_example(site, before)["state"] == "succeeded"
    key = site.env_file["AWS_ACCESS_KEY_ID"]
    assert site.pid is not None
    started = children_of(site.pid)
    assert len(started) >= 4
    # The commands of a second terminal: AWS from Python, and CDK's own command line.
    assert site.manage("keys", "check").status == 0
    listed = site.cdk("diff", "Group-demo-lab", "--context", "group=demo-lab")
    assert (listed.status, "There were no differences" in listed.out + listed.err) == (0, True), listed.out + listed.err
    the_second_start_of_a_folder_is_refused(site)
    an_aws_that_was_killed_is_started_again(site, before)
    assert open_to_others(site.var) == []
    started = children_of(site.pid)
    os.kill(site.pid, signal.SIGKILL)
    wait_until(lambda: [pid for pid in started if is_alive(pid)] == [], 60)

    # As an older version left it.
    for path in (site.var, site.var / "cohort.sqlite3", site.var / "env", site.var / "aws"):
        path.chmod(0o755)
    with (site.var / "env").open("a") as file:
        file.write("# Mine:\nSIGN_UP=closed\nEARLIER_VERSIONS_DAYS=30\nexport MINE='it'\"'\"'s'\n")
    site.change(REQUIRE_APPROVAL="")
    said = site.start()
    assert "Not taken from this shell, since other programs use such names too: DATABASE_URL, DEBUG." in said
    assert "Earlier versions are kept as before: EARLIER_VERSIONS_DAYS=30 would end them sooner" in said
    assert (site.env_file["SIGN_UP"], site.env_file["MINE"]) == ("closed", "it's")
    assert open_to_others(site.var) == []
    assert site.env_file["AWS_ACCESS_KEY_ID"] == key
    assert site.credentials("demo-lab", "ada@example.org") == before
    site.client("s3", before).put_object(Bucket="cohort-demo-traces", Key="demo-lab/inputs/x", Body=b"again")
    earlier_versions_end_once_that_is_confirmed(site)
    with urllib.request.urlopen(f"{site.url}/accounts/signup/") as answer:
        assert b"Sign-up is closed" in answer.read()
    started = children_of(site.pid)
    assert site.stop() == 0
    assert [pid for pid in started if is_alive(pid)] == []


def the_demonstration_is_approved_where_the_start_says(site: Site, printed: str) -> None:
    """It waits for nobody: what waits for an administrator is named, and goes on once they have decided."""
    administrator = Visitor(site.url)
    administrator.sign_in(*site.administrator)
    said = set(re.findall(rf"an administrator decides at {site.url}(/deployments/\d+/)", printed))
    assert said
    while waiting := [deployment["id"] for deployment in site.must("deployment", "list") if deployment["state"] == "approval"]:
        said -= {f"/deployments/{number}/" for number in waiting}
        for number in waiting:
            answer = administrator.ask("POST", f"/deployments/{number}/approve/", form={"generation": generation_of(site, number)})
            assert answer.status == 302, answer.text
        wait_until(
            lambda: not any(deployment["state"] in ("queued", "running") for deployment in site.must("deployment", "list")), 60
        )
    assert not said
    assert site.must("demo", "samples")["put"] > 0


def generation_of(site: Site, number: int) -> str:
    return str(site.must("deployment", "show", str(number))["generation"])


def earlier_versions_end_once_that_is_confirmed(site: Site) -> None:
    s3 = site.root("s3")

    def rules() -> dict[str, Any]:
        return {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket="cohort-demo-traces")["Rules"]}

    before = rules()
    # A process of its own, which reads what the file says now.
    refused = site.manage("platform", "sync", "--wait", EARLIER_VERSIONS_DAYS="30")
    assert (refused.status, "Not confirmed" in refused.err, rules()) == (2, True, before)
    confirmed = ("--confirm", "end after 30 days")
    done = site.manage("platform", "sync", "--wait", *confirmed, "--json", EARLIER_VERSIONS_DAYS="30")
    assert (done.status, done.document["earlier_versions"]["days"]) == (0, 30), done.err
    ended = rules().pop("end-earlier-versions")
    assert ended["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert ended["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert before.keys() == rules().keys() - {"end-earlier-versions"}


def the_second_start_of_a_folder_is_refused(site: Site) -> None:
    done = run_up(site.var, PORT=str(free_port()), AWS_PORT=str(free_port()))
    assert done.returncode == 1
    assert f"`make up` runs already for {site.var} (process {site.pid}, {site.url})" in done.stderr
    assert "Traceback" not in done.stderr


def an_aws_that_was_killed_is_started_again(site: Site, credentials: dict[str, str]) -> None:
    """Its own state is saved every few seconds; what is there is there again."""
    assert site.pid is not None
    log = site.var.parent / f"{site.var.name}-up.log"
    time.sleep(SAVED_SECONDS)
    (aws,) = (pid for pid in children_of(site.pid) if b"local_aws\0--port" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(aws, signal.SIGKILL)
    wait_until(lambda: "The embedded AWS ended by itself, and is started again" in log.read_text(), 60)
    wait_until(lambda: answers(f"{site.url}/readyz"), 60)
    site.client("s3", credentials).put_object(Bucket="cohort-demo-traces", Key="demo-lab/inputs/y", Body=b"after")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def open_to_others(folder: Path) -> list[str]:
    """What other users of the machine could read, write or enter. Static files are everybody's, who could enter the folder."""
    found = []
    for path in (folder, *folder.rglob("*")):
        # SQLite takes its log away as the last connection closes.
        with suppress(FileNotFoundError):
            if not path.is_relative_to(folder / "static") and not path.is_symlink() and path.stat().st_mode & 0o077:
                found.append(str(path))
    return found


def run_the_example(site: Site, credentials: dict[str, str]) -> dict[str, Any]:
    """Submit the samples that came with the demonstration, and wait until its back end has answered."""
    s3 = site.client("s3", credentials)
    bucket = "cohort-demo-traces"
    s3.put_object(Bucket=bucket, Key="demo-lab/configs/first.yaml", Body=site.must("catalogue", "show", "demo-traces")["template"])
    chosen = ("demo-lab", "demo-traces", "inputs/", "--config", "configs/first.yaml", "--as", "ada@example.org")
    job = site.must("job", "submit", *chosen)
    assert [key.rpartition("/")[2] for key in job["inputs"]] == ["session-1.csv", "session-2.csv"]
    ended: dict[str, Any] = site.must("job", "follow", str(job["id"]), "--timeout", "60")
    results = f"demo-lab/results/{job['job']}/process_results/session-2/plot.svg"
    assert s3.get_object(Bucket=bucket, Key=results)["Body"].read().startswith(b"<svg")
    return ended


@pytest.mark.parametrize("name", ["PORT", "AWS_PORT"])
def test_a_port_in_use_is_one_clear_message_and_nothing_is_started(tmp_path: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"PORT": str(free_port()), "AWS_PORT": str(free_port()), name: str(taken.getsockname()[1])}
        done = run_up(tmp_path / "var", **ports)
    assert done.returncode == 1
    assert f"Port {ports[name]} is in use" in done.stderr
    assert f"make up {name}=" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "var").exists()


def test_a_database_of_another_version_is_left_alone_and_said(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var/cohort.sqlite3").write_bytes(b"older")
    done = run_up(tmp_path / "var", PORT=str(free_port()), AWS_PORT=str(free_port()))
    assert done.returncode == 1
    assert "was made by another version" in done.stderr
    assert "make up VAR_DIR=" in done.stderr
    assert (tmp_path / "var/cohort.sqlite3").read_bytes() == b"older"


@pytest.mark.parametrize("folder", ["/", "~", "sticky"])
def test_a_folder_that_others_use_is_left_as_it_is(tmp_path: Path, folder: str) -> None:
    shared = {"/": Path("/"), "~": Path.home(), "sticky": tmp_path / "tmp"}[folder]
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    before = shared.stat().st_mode
    done = run_up(shared, PORT=str(free_port()), AWS_PORT=str(free_port()))
    assert done.returncode == 1
    assert "which holds more than a site. Nothing was changed" in done.stderr
    assert shared.stat().st_mode == before


def test_a_port_that_is_none_is_named(tmp_path: Path) -> None:
    done = run_up(tmp_path / "var", PORT="eight thousand")
    assert "PORT must be a port number" in done.stderr


def test_settings_that_are_missing_are_named(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")} | {"VAR_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "manage.py", "group", "list"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "SECRET_KEY" in done.stderr
    assert "COHORT_ACCOUNT" in done.stderr
    assert "Traceback" not in done.stderr


def run_up(var: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/up.py"],
        cwd=ROOT,
        env=os.environ | {"VAR_DIR": str(var), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
