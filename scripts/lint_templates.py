"""Check every template by cdk-nag's AwsSolutions rules, then by cfn-lint, on manifests and sites that use everything.

Ends with 1 on a finding.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import aws_cdk as cdk  # noqa: E402
import cdk_nag  # noqa: E402

from stacks import bootstrap  # noqa: E402
from stacks.group.group_stack import GroupStack  # noqa: E402
from stacks.group.storage_stack import StorageStack  # noqa: E402
from stacks.manifest import AnalysisGrant, GroupManifest, Member, PlatformManifest  # noqa: E402
from stacks.site.assembly import add_site  # noqa: E402
from stacks.site.settings import Site, parse_site  # noqa: E402

PLACE = {"generation": 1, "account": "111122223333", "region": "us-east-1"}
PLATFORM = PlatformManifest.build(
    **PLACE, buckets=("cohort-ephys", "cohort-video"), origins=("https://cohort.example.org",), earlier_versions_days=30
)
EMPTY_PLATFORM = PlatformManifest.build(**PLACE | {"account": "444455556666"}, origins=("https://cohort.example.org",))
GROUP = GroupManifest.build(
    **PLACE,
    slug="example-lab",
    members=(
        Member(username="m" + "a" * 11, access="keys"),
        Member(username="m" + "b" * 11, access="federated"),
        Member(username="m" + "d" * 11, access="keys", part=1),
    ),
    analyses=(
        AnalysisGrant(bucket="cohort-ephys", access="read-write"),
        AnalysisGrant(bucket="cohort-video", access="read-only"),
    ),
    revoked=("m" + "c" * 11,),
    sessions_not_before=1_700_000_000,
)
EMPTY_GROUP = GroupManifest.build(**PLACE, slug="empty-lab")
SITES = [
    parse_site(
        {"account": "111122223333", "region": "us-east-1", "domain": "cohort.example.org", "email": "platform@example.org"}
        | {"size": size, "tls": tls, "tags": {"cost-centre": "42"}}
    )
    for size in ("small", "medium")
    for tls in ("certbot", "acm")
]


def _groups(app: cdk.App) -> None:
    StorageStack(app, PLATFORM)
    for group in (GROUP, EMPTY_GROUP):
        GroupStack(app, group)


def _site(site: Site) -> Callable[[cdk.App], None]:
    return lambda app: add_site(app, site)


def main() -> None:
    """Synthesise with cdk-nag, which ends the synthesis on a finding; then have cfn-lint read the templates."""
    with tempfile.TemporaryDirectory() as folder:
        for number, add in enumerate((_groups, lambda app: StorageStack(app, EMPTY_PLATFORM), *map(_site, SITES))):
            app = cdk.App(analytics_reporting=False, outdir=f"{folder}/{number}")
            cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
            add(app)
            try:
                app.synth()
            except RuntimeError:
                sys.exit("cdk-nag found the above.")
        templates = sorted(Path(folder).glob("*/*.template.json"))
        print(f"cdk-nag: nothing unacknowledged in {len(templates)} templates", flush=True)
        # The account's own policies are no CDK stack, so that they can come before CDK's bootstrap.
        own = Path(folder, "bootstrap.template.json")
        own.write_text(json.dumps(bootstrap.template(SITES[0].account, SITES[0].region, SITES[0].bucket_patterns)))
        templates.append(own)
        done = subprocess.run(
            [str(Path(sys.executable).with_name("cfn-lint")), "--regions", "us-east-1", "--", *map(str, templates)],
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            sys.exit("cfn-lint found the above.")
        print(f"cfn-lint: nothing in {len(templates)} templates")


if __name__ == "__main__":
    main()
