"""The plain `cdk deploy`: a CLI that is missing, fails, or hangs."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from control_plane.config import Config, config
from control_plane.deployments import _cdk_cli
from control_plane.deployments._cdk_cli import CdkCli
from control_plane.deployments.deployer import DeployerFailure, Target

TARGET = Target("Group-example-lab", "group=example-lab")
Use = Callable[..., None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Use:
    """Have a shell script stand in for the CDK command line."""

    def install(script: str, **settings: object) -> None:
        program = tmp_path / "cdk-stand-in"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        changed = config().model_copy(update={"cohort_cdk": str(program), "var_dir": tmp_path, **settings})
        monkeypatch.setattr(_cdk_cli, "config", lambda: changed)

    return install


def run(tick: Callable[[], None] = lambda: None) -> list[str]:
    lines: list[str] = []
    CdkCli().deploy(TARGET, tell=lines.append, tick=tick)
    return lines


def test_each_line_comes_through_in_order(use: Use) -> None:
    use("echo one; echo two >&2; printf three")
    assert run() == ["$ cdk deploy --exclusively Group-example-lab", "one", "two", "three"]


def test_a_missing_cli_says_what_to_install(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Config().model_copy(update={"cohort_cdk": "/nowhere/cdk"})
    monkeypatch.setattr(_cdk_cli, "config", lambda: missing)
    with pytest.raises(DeployerFailure, match="not installed") as failure:
        run()
    assert "make install" in failure.value.advice


def test_a_failing_cli_says_its_status(use: Use) -> None:
    use("echo no; exit 3")
    with pytest.raises(DeployerFailure, match="status 3"):
        run()


def test_a_cli_that_hangs_is_ended_with_its_children(use: Use, tmp_path: Path) -> None:
    use(f"sleep 60 & echo $! > {tmp_path}/child; sleep 60", cohort_deploy_seconds=1)
    began = time.monotonic()
    with pytest.raises(DeployerFailure, match="longer than 1 s"):
        run()
    assert time.monotonic() - began < 30
    assert not is_alive(int((tmp_path / "child").read_text()))


def test_a_lost_lease_ends_the_cli(use: Use, tmp_path: Path) -> None:
    use(f"echo $$ > {tmp_path}/pid; sleep 60")

    def tick() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        run(tick)
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_what_django_keeps_is_withheld_from_it(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://cohort:hidden@db/cohort")
    use("env")
    printed = "\n".join(run())
    assert "AWS_ACCESS_KEY_ID=" in printed
    assert "SECRET_KEY=only-for-tests" not in printed
    assert "hidden" not in printed


def test_nothing_is_left_in_the_work_folder(use: Use, tmp_path: Path) -> None:
    use("exit 1")
    with pytest.raises(DeployerFailure):
        run()
    assert list((tmp_path / "cdk").iterdir()) == []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state != "Z"
