"""The environment of one site's processes: its file reads alike in a shell, and nothing of a person's own leads elsewhere."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from stacks import env_file, environment
from stacks.env_file import EnvFileError, parse, read

ODD = {
    "APOSTROPHE": "/home/o'brien/var",
    "BOTH": """it's "quoted" \\ twice""",
    "SHELL": "$HOME `id` $(id) & | ; < > * ? # ~ !",
    "LINES": "one\ntwo\n",
    "EMPTY": "",
    "ACCENTS": "Çelik, 東京",
}


def sh(file: Path, *names: str) -> list[str]:
    """What a shell that takes the file in holds in these names."""
    tell = "import json, os, sys; print(json.dumps([os.environ[one] for one in sys.argv[1:]]))"
    words = ["/bin/sh", "-c", 'set -a; . "$0"; exec "$@"', str(file), sys.executable, "-c", tell, *names]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={"LANG": "C.UTF-8"})
    held: list[str] = json.loads(done.stdout)
    return held


def test_a_shell_and_the_program_read_every_value_alike(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text(env_file.format_lines(ODD), encoding="utf-8")
    assert read(file) == ODD
    assert sh(file, *ODD) == list(ODD.values())


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=plain", "plain"),
        ("export NAME=plain   # said", "plain"),
        ("  NAME=a#b", "a#b"),
        ("NAME='a b'", "a b"),
        ('NAME="a \\"b\\" \\$c \\n"', 'a "b" $c \\n'),
        ("NAME='it'\"'\"'s'", "it's"),
        ("NAME=a\\ b", "a b"),
        ("NAME=smtp://user:word@host:587?tls=true", "smtp://user:word@host:587?tls=true"),
        ("NAME=", ""),
        ("NAME=first\nNAME=last", "last"),
    ],
)
def test_what_a_person_writes_means_what_a_shell_makes_of_it(tmp_path: Path, line: str, value: str) -> None:
    file = tmp_path / "env"
    file.write_text(f"# Mine\n\n{line}\n")
    assert read(file) == {"NAME": value}
    assert sh(file, "NAME") == [value]


@pytest.mark.parametrize(
    "line",
    ["NAME=a b", "NAME=$HOME", 'NAME="$HOME"', "NAME=a&b", "NAME='open", "NAME=~/x", "name", "NAME = a", "unset NAME", "NAME=`id`"],
)
def test_what_a_shell_would_read_differently_is_refused_by_its_line_without_its_value(line: str) -> None:
    with pytest.raises(EnvFileError, match="line 3") as refused:
        parse(f"A=1\n# said\n{line}\nB=2\n", Path("/var/env"))
    assert "HOME" not in str(refused.value)


# Names that AWS's SDKs (SDKs and Tools Reference Guide, "Environment variables support"), Python, Node, npm and CDK read.
HOSTILE = {
    "AWS_PROFILE": "production",
    "AWS_CONFIG_FILE": "/home/ada/.aws/config",
    "AWS_ENDPOINT_URL_STS": "https://elsewhere.example.org",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_SESSION_TOKEN": "another",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/",
    "http_proxy": "http://proxy.example.org",
    "HTTPS_PROXY": "http://proxy.example.org",
    "npm_config_proxy": "http://proxy.example.org",
}
OWN = {
    "EMBEDDED_AWS": "1",
    "AWS_ENDPOINT_URL": "http://localhost:4566",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "of-the-file",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A person's shell and home that lead elsewhere. Whatever a test does to the environment is undone."""
    before = dict(os.environ)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(
        "[default]\nignore_configured_endpoint_urls = true\nuse_fips_endpoint = true\ncredential_process = /bin/false\n"
    )
    for name in environment.NEUTRAL_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**HOSTILE, "HOME": str(tmp_path), "AWS_CONFIG_FILE": str(tmp_path / ".aws/config")}.items():
        monkeypatch.setenv(name, value)
    yield tmp_path
    for name in [name for name in os.environ if name not in before]:
        del os.environ[name]
    os.environ.update(before)


def test_on_the_embedded_aws_the_site_s_file_holds_whatever_the_shell_has_set(elsewhere: Path) -> None:
    (elsewhere / "env").write_text(env_file.format_lines(OWN))
    environment.load(elsewhere)
    kept = {name: value for name, value in os.environ.items() if name in HOSTILE or name in OWN}
    assert kept == OWN | {"AWS_CONFIG_FILE": os.devnull}
    client = boto3.Session().client("sts")
    assert client.meta.endpoint_url == "http://localhost:4566"
    assert client._request_signer._credentials.secret_key == "of-the-file"  # type: ignore[attr-defined]


def test_a_proxy_that_the_site_s_own_file_names_is_kept_and_this_machine_is_not_asked_of_it() -> None:
    settings = OWN | {"HTTPS_PROXY": "http://of-the-site.example.org"}
    made = environment.isolated(HOSTILE, settings)
    assert made["HTTPS_PROXY"] == "http://of-the-site.example.org"
    assert "localhost" in made["NO_PROXY"].split(",")


def test_on_a_real_account_the_profile_is_the_person_s_own(elsewhere: Path) -> None:
    (elsewhere / "env").write_text("DEBUG=false\n")
    environment.load(elsewhere)
    assert os.environ["AWS_PROFILE"] == "production"


def test_the_embedded_aws_reads_none_of_the_names_that_localstack_does() -> None:
    made = environment.isolated_basics({**HOSTILE, "SERVICES": "s3", "EDGE_PORT": "1", "PATH": "/bin", "PYTHONPATH": "x"})
    assert made == {"PATH": "/bin", "PYTHONPATH": "x", **environment.NEUTRAL_SETTINGS}


def test_cdk_takes_neither_options_from_the_shell_nor_the_settings_of_a_home(tmp_path: Path) -> None:
    home, own = tmp_path / "home", tmp_path / "own"
    home.mkdir()
    shell = {"HOME": str(home), "CDK_PROFILE": "production", "PATH": "/bin"}
    assert environment.isolated_for_cdk(shell, own) == {"HOME": str(home), "PATH": "/bin", "CDK_DISABLE_CLI_TELEMETRY": "1"}
    (home / ".cdk.json").write_text('{"profile": "production"}')
    made = environment.isolated_for_cdk(shell, own)
    assert (made["HOME"], made["JSII_RUNTIME_PACKAGE_CACHE_ROOT"]) == (str(own), str(home / ".cache/aws/jsii/package-cache"))
    assert own.is_dir()
