"""Who asks, where, and by which clock; and whether site.toml can be used."""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from control_plane.doctor.findings import CannotLook, Finding, not_yet, ok, to_do
from control_plane.doctor.surroundings import Surroundings, code_of

# AWS refuses a request whose time differs by more than five minutes (IAM user guide, "Signature Version 4"), S3 by 15.
MAX_CLOCK_SECONDS = 300
WRONG_VAR_DIR = "AWS_ENDPOINT_URL is set: if that is a local `make up`'s, export VAR_DIR=$HOME/cohort-site. "


def credentials(around: Surroundings) -> Iterator[Finding]:
    """Look whose credentials these are, and whether they are of the site's account."""
    try:
        caller = around.caller()
    except CannotLook as error:
        yield to_do(str(error), error.advice)
        return
    place = f" (at {around.endpoint})" if around.endpoint else ""
    if caller.account != around.account:
        first = WRONG_VAR_DIR if around.endpoint else ""
        yield to_do(
            f"account {caller.account}{place}, but the site's is {around.account}",
            f"{first}Use another AWS_PROFILE, or correct `account` in site.toml. Everything below is left out until then.",
        )
    elif caller.is_root:
        # STS API reference, AssumeRole: "You cannot use AWS account root user credentials to call AssumeRole".
        yield to_do(
            f"the root user of {caller.account}{place}",
            "The root user can assume none of CDK's roles, and nothing limits it: use an identity of its own with administrator's "
            "rights (IAM Identity Center).",
        )
    else:
        yield ok(f"{caller.arn}{place}")


def clock(around: Surroundings) -> Iterator[Finding]:
    """Compare this machine's clock with AWS's."""
    try:
        around.caller()
    except CannotLook as error:
        if around.clock_ahead is None:
            raise CannotLook(str(error)) from error
    if around.clock_ahead is None:
        raise CannotLook("AWS's answer had no date")
    ahead = round(around.clock_ahead)
    words = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} AWS's"
    if abs(ahead) > MAX_CLOCK_SECONDS:
        yield to_do(words, "AWS refuses what is signed at another time: set the clock (timedatectl set-ntp true).")
    else:
        yield ok(words)


def region(around: Surroundings) -> Iterator[Finding]:
    """Look whether the account has the region enabled, and whether the AWS command line would use it."""
    wanted, own = around.region, around.session.region_name
    try:
        found = around.aws("ec2", around.home()).describe_regions(RegionNames=[wanted], AllRegions=True)["Regions"]
    except ClientError as error:
        if code_of(error) != "InvalidParameterValue":
            raise
        found = []
    if not found:
        yield to_do(f"there is no region {wanted}", "Correct `region` in site.toml.")
    elif found[0].get("OptInStatus") == "not-opted-in":
        yield to_do(f"{wanted} is not enabled in this account", "Enable it (console, Account, AWS Regions), which takes minutes.")
    elif around.site and own and own != wanted:
        yield to_do(f"{wanted}, but AWS_REGION or the profile says {own}", f"export AWS_REGION={wanted}")
    else:
        yield ok(f"{wanted} is enabled")


def site_settings(around: Surroundings) -> Iterator[Finding]:
    """Look whether site.toml is there and can be used."""
    if around.site_error:
        yield to_do(around.site_error, "Correct it: docs/settings.md has every setting.")
    elif around.site:
        site = around.site
        yield ok(f"site.toml: {site.domain}, {site.account}, {site.region}, {site.size}, tls = {site.tls}")
    elif around.settings_error:
        yield to_do(around.settings_error, "Correct them in the secret (docs/operations.md, step 5), or in $VAR_DIR/env.")
    elif around.settings:
        yield ok(f"the settings of this control plane: {around.origin}, {around.account}, {around.region}")
    else:
        yield not_yet(1, "there is no site.toml", "cp site.example.toml site.toml, and fill in the first four.")
