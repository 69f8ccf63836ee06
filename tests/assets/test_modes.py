"""What other users of the machine may do with a site's data: nothing, also with what lies there from before."""

import os
from pathlib import Path

from assets.install.modes import ALL_BUT_OWNER, OTHERS, remove_rights
from tests.assets.host_root import host_root


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def made(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        path.chmod(0o664)
        path.parent.chmod(0o775)


def test_rights_are_taken_from_all_that_is_there_and_none_is_given(tmp_path: Path) -> None:
    made(tmp_path / "var", "cohort.sqlite3", "mail/reset.eml", "aws/deep/down/keys.json")
    (tmp_path / "var/mail/reset.eml").chmod(0o400)
    remove_rights(tmp_path / "var", ALL_BUT_OWNER)
    assert mode(tmp_path / "var/cohort.sqlite3") == 0o600
    assert mode(tmp_path / "var/mail/reset.eml") == 0o400
    assert [mode(tmp_path / "var" / name) for name in ("mail", "aws", "aws/deep/down")] == [0o700] * 3
    assert mode(tmp_path / "var/aws/deep/down/keys.json") == 0o600


def test_what_is_named_stays_open_and_the_group_keeps_its_rights(tmp_path: Path) -> None:
    made(tmp_path, "static/site.css", "backups/a.sqlite3", "backups/static/x")
    remove_rights(tmp_path, OTHERS, but=("static",))
    assert (mode(tmp_path / "static"), mode(tmp_path / "static/site.css")) == (0o775, 0o664)
    assert (mode(tmp_path / "backups"), mode(tmp_path / "backups/a.sqlite3")) == (0o770, 0o660)
    assert mode(tmp_path / "backups/static/x") == 0o660


def test_nothing_outside_is_touched_and_nothing_is_waited_for(tmp_path: Path) -> None:
    made(tmp_path, "outside/shadow", "var/a")
    (tmp_path / "var/link").symlink_to(tmp_path / "outside/shadow")
    (tmp_path / "var/folder").symlink_to(tmp_path / "outside")
    (tmp_path / "var/dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "var/pipe", 0o644)
    remove_rights(tmp_path / "var", ALL_BUT_OWNER)
    assert (mode(tmp_path / "outside"), mode(tmp_path / "outside/shadow")) == (0o775, 0o664)
    assert mode(tmp_path / "var/a") == 0o600


def test_a_release_that_comes_into_use_closes_what_an_older_one_left_open() -> None:
    with host_root() as host:
        data = host.folder / "var/lib/cohort"
        made(data, "backups/old.sqlite3", "static/site.css")
        done = host.install(*host.release("1"))
        assert done.returncode == 0, done.stdout
        assert mode(data / "backups/old.sqlite3") == 0o660
        assert mode(data / "static/site.css") == 0o664
