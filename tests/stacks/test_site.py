"""The settings of a site: what is right is read, and what is wrong is named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.site.settings import SiteError, parse_site, read_site

ROOT = Path(__file__).resolve().parents[2]
LEAST = {"account": "111122223333", "region": "us-east-1", "domain": "cohort.example.org", "email": "platform@example.org"}


def test_it_works(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text("\n".join(f'{name} = "{value}"' for name, value in LEAST.items()))
    site = read_site(file)
    assert (site.account, site.size, site.tls, site.bucket_patterns) == ("111122223333", "small", "certbot", ("cohort-*",))
    assert (site.instance_type, site.data_volume_gib, site.zones) == ("t4g.small", 20, ("us-east-1a", "us-east-1b"))
    assert site.state_bucket == "cohort-state-111122223333-us-east-1"
    assert site.backup_bucket == "cohort-backups-111122223333-us-east-1"
    assert read_site(file, size="medium").instance_type == "t4g.large"


def test_the_example_is_a_site_and_names_every_setting():
    example = (ROOT / "site.example.toml").read_text()
    assert read_site(ROOT / "site.example.toml") == parse_site(LEAST)
    fields = type(parse_site(LEAST)).model_fields | type(parse_site(LEAST).retention).model_fields
    assert [name for name in fields if f"{name} =" not in example and f"[{name}]" not in example] == []


def test_git_ignores_the_site_s_own_settings():
    assert "site.toml" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"account": 111122223333}, "account: Input should be a valid string"),
        ({"account": "12"}, "account: "),
        ({"region": "Frankfurt"}, "region: "),
        ({"domain": "https://cohort.example.org/"}, "domain: "),
        ({"domain": "localhost"}, "domain: "),
        ({"email": "platform"}, "email: "),
        ({"email": 'a"@example.org'}, "email: "),
        ({"size": "huge"}, "size: Input should be 'small' or 'medium'"),
        ({"tls": "none"}, "tls: "),
        ({"regoin": "us-east-1"}, "regoin: there is no such setting"),
        ({"bucket_patterns": ["*"]}, "bucket_patterns.0: "),
        ({"bucket_patterns": []}, "bucket_patterns: "),
        ({"availability_zones": ["us-east-1a"]}, "two different zones of us-east-1"),
        ({"availability_zones": ["us-east-1a", "us-west-2a"]}, "two different zones of us-east-1"),
        ({"data_gib": 8}, "data_gib is 0 or at least 20"),
        ({"data_snapshot": "rp-1"}, "data_snapshot: "),
        ({"certificate_arn": "arn:aws:acm:us-east-1:111122223333:certificate/a"}, "goes with tls = 'acm'"),
        (
            {"tls": "acm", "certificate_arn": "arn:aws:acm:us-west-2:111122223333:certificate/a"},
            "lies in another account or region",
        ),
        ({"retention": {"logs": 91}}, "retention: logs = 91"),
        ({"retention": {"daily": 1}}, "retention.daily: "),
        ({"retention": {"vault_lock_after": 2}}, "vault_lock_after is 0 (never) or at least 3"),
        ({"retention": {"database_lock": 500}}, "database_lock cannot be longer"),
        ({"retention": {"database": 60}}, "database is at least database_colder + 90"),
        ({"retention": {"forever": True}}, "retention.forever: there is no such setting"),
    ],
)
def test_a_wrong_setting_is_named(wrong, says):
    with pytest.raises(SiteError) as refused:
        parse_site(LEAST | wrong)
    assert says in str(refused.value)


@pytest.mark.parametrize("region", ["ap-northeast-1", "us-west-1"])
def test_zones_are_never_guessed_where_some_accounts_lack_a_or_b(region):
    """AWS, "Regions and Availability Zones": new accounts have two zones of us-west-1, and three of ap-northeast-1."""
    with pytest.raises(SiteError) as refused:
        parse_site(LEAST | {"region": region})
    said = str(refused.value)
    assert f"availability_zones must be named in {region}" in said
    assert f"describe-availability-zones --region {region}" in said
    assert f'A site that exists already keeps its own, ["{region}a", "{region}b"]' in said
    zones = (f"{region}c", f"{region}a")
    assert parse_site(LEAST | {"region": region, "availability_zones": list(zones)}).zones == zones


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "eu-central-1", "ca-central-1", "sa-east-1", "eu-west-1"])
def test_a_site_that_named_no_zone_stays_in_a(region):
    """The data volume cannot move, so what a site without the setting was made with never changes."""
    assert parse_site(LEAST | {"region": region}).zones == (f"{region}a", f"{region}b")


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(SiteError) as refused:
        parse_site({"account": "1"})
    for name in ("account", "region", "domain", "email"):
        assert f"  {name}: " in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "Copy site.example.toml"), ("account =", "cannot be read as TOML"), (b"\xff", "cannot be read as TOML")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, text, says):
    file = tmp_path / "site.toml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SiteError) as refused:
        read_site(file)
    assert says in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize("text", ['account = "1"', None])
def test_at_the_cdk_command_it_is_a_few_clear_lines(tmp_path, text):
    file = tmp_path / "my-site.toml"
    if text:
        file.write_text(text)
    done = run_app(tmp_path, site=str(file))
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert "Traceback" not in done.stderr


def test_only_a_synthesis_of_everything_looks_at_the_site(tmp_path):
    """A group's deployment asks for that group alone, and a site that is wrong must not stop it."""
    done = run_app(tmp_path, site="/nowhere/site.toml", group="example-lab")
    assert "No manifest 'groups/example-lab.json'" in done.stderr


def test_the_warm_synthesiser_loads_nothing_of_the_site():
    code = "import sys, stacks.group.synthesiser, stacks.group.assembly; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "stacks.group.storage_stack" in loaded
    assert not {"stacks.site", "stacks.bootstrap", "aws_cdk.aws_backup", "django"} & set(loaded)


def run_app(folder, **context):
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={
            "COHORT_MANIFEST_STORE": str(folder),
            "VAR_DIR": str(folder),
            "CDK_CONTEXT_JSON": json.dumps(context),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
