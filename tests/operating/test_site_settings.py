"""`$VAR_DIR/env` over several starts of `make up`: what is kept, what is taken, and what is refused by its name."""

import re
from pathlib import Path

import pytest
import site_settings
from site_settings import SettingsRefused, check_kept, merge_settings, read_request

from stacks import env_file

URL = "http://localhost:8000"


def begun(var: Path) -> dict[str, str]:
    """The file after a first start."""
    return {**merge_settings({}, {}, var, URL), "VAR_DIR": str(var), "EMBEDDED_AWS": "1"}


def again(file: dict[str, str], var: Path, url: str = URL, **given: str) -> dict[str, str]:
    return merge_settings(file, given, var, url)


def test_what_a_person_added_to_the_file_is_there_after_the_next_start(tmp_path: Path) -> None:
    added = {"SIGN_UP": "closed", "SITE_URL": "https://mine.example.org", "HTTPS_PROXY": "http://proxy.example.org", "MINE": "it's"}
    first = begun(tmp_path) | added
    assert again(first, tmp_path) == first | added


def test_a_setting_given_once_is_remembered_and_an_empty_one_takes_it_away(tmp_path: Path) -> None:
    address = "postgres://cohort@localhost/cohort"
    second = again(begun(tmp_path), tmp_path, DATABASE_URL=address, SIGN_UP="closed", EMAIL_URL="smtp://localhost")
    third = again(second, tmp_path)
    assert (third["DATABASE_URL"], third["SIGN_UP"], third["EMAIL_URL"]) == (address, "closed", "smtp://localhost")
    last = again(third, tmp_path, DATABASE_URL="", SIGN_UP="", EMAIL_URL="")
    assert "SIGN_UP" not in last
    assert (last["DATABASE_URL"], last["EMAIL_URL"]) == ("", (tmp_path / "mail").as_uri())


def test_what_follows_the_folder_and_the_port_moves_with_them(tmp_path: Path) -> None:
    moved = again(begun(tmp_path / "old"), tmp_path / "new", "http://localhost:8001")
    assert moved["SITE_URL"] == "http://localhost:8001"
    assert moved["COHORT_MANIFEST_STORE"] == str(tmp_path / "new/manifests")
    assert moved["EMAIL_URL"] == (tmp_path / "new/mail").as_uri()


def test_the_key_of_the_site_stays_the_same(tmp_path: Path) -> None:
    first = begun(tmp_path)
    assert again(first, tmp_path)["SECRET_KEY"] == first["SECRET_KEY"]


def test_names_of_another_project_s_shell_are_named_and_not_taken() -> None:
    shell = {
        "DEBUG": "true",
        "DATABASE_URL": "postgres://other",
        "SIGN_UP": "closed",
        "PATH": "/bin",
        "COHORT_GIVEN": "SIGN_UP PORT",
    }
    found = read_request(shell, {}, is_embedded=True)
    assert found.left == ("DATABASE_URL", "DEBUG")
    assert found.given == {"SIGN_UP": "closed"}


def test_a_shell_that_took_the_file_in_is_not_told_of_its_own_settings(tmp_path: Path) -> None:
    file = begun(tmp_path)
    assert read_request(file, file, is_embedded=True).left == ()


def test_names_that_other_programs_use_are_written_down_so_that_no_shell_s_value_comes_first(tmp_path: Path) -> None:
    written = begun(tmp_path)
    assert (written["DEBUG"], written["DATABASE_URL"], written["WEBHOOK_URL"]) == ("false", "", "")
    assert written["ALLOWED_HOSTS"] == "localhost 127.0.0.1"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("AWS_PROFILE", "production"),
        ("AWS_ENDPOINT_URL_S3", "http://elsewhere"),
        ("AWS_ENDPOINT_URL", "https://elsewhere"),
        ("AWS_REGION", "eu-north-1"),
        ("COHORT_ACCOUNT", "999999999999"),
    ],
)
def test_what_would_lead_the_embedded_aws_elsewhere_is_refused_by_its_name(tmp_path: Path, line: str, value: str) -> None:
    with pytest.raises(SettingsRefused, match=f"sets {line}, .*Nothing was started"):
        check_kept(begun(tmp_path) | {line: value}, tmp_path / "env", is_embedded=True)


def test_aws_s_own_names_cannot_be_given_to_a_start_on_the_embedded_aws() -> None:
    shell = {"COHORT_GIVEN": "AWS_PROFILE AWS_PORT", "AWS_PROFILE": "production", "AWS_PORT": "1"}
    with pytest.raises(SettingsRefused, match="AWS_PROFILE"):
        read_request(shell, {}, is_embedded=True)
    assert read_request(shell, {}, is_embedded=False).given == {}


def test_a_folder_of_a_site_on_an_account_is_not_started_on_the_embedded_aws_nor_the_other_way(tmp_path: Path) -> None:
    for kept, is_embedded in (("0", True), ("1", False)):
        with pytest.raises(SettingsRefused, match=re.escape(str(tmp_path))):
            check_kept({"EMBEDDED_AWS": kept}, tmp_path / "env", is_embedded=is_embedded)


def test_the_file_says_who_writes_it_and_reads_back_as_it_was_written(tmp_path: Path) -> None:
    settings = begun(tmp_path / "o'brien's")
    assert env_file.parse(site_settings.file_text(settings), tmp_path / "env") == settings
