"""Checks of the caller's credentials, clock and region, and of site.toml."""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from control_plane.doctor.check_context import CheckContext, error_code
from control_plane.doctor.findings import CannotLook, Finding, not_yet, ok, to_do

# AWS refuses a request whose time differs by more than five minutes (IAM user guide, "Signature Version 4"), S3 by 15.
MAX_CLOCK_SECONDS = 300
WRONG_VAR_DIR = "AWS_ENDPOINT_URL is set: if that is a local `make up`'s, export VAR_DIR=$HOME/cohort-site. "


def credentials(context: CheckContext) -> Iterator[Finding]:
    """Check that the credentials are valid, of the site's account, and not the root user's."""
    try:
        caller = context.caller()
    except CannotLook as error:
        yield to_do(str(error), error.advice)
        return
    place = f" (at {context.endpoint})" if context.endpoint else ""
    if caller.account != context.account:
        first = WRONG_VAR_DIR if context.endpoint else ""
        yield to_do(
            f"account {caller.account}{place}, but the site's is {context.account}",
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


def clock(context: CheckContext) -> Iterator[Finding]:
    """Compare this machine's clock with AWS's."""
    try:
        context.caller()
    except CannotLook as error:
        if context.clock_ahead is None:
            raise CannotLook(str(error)) from error
    if context.clock_ahead is None:
        raise CannotLook("AWS's answer had no date")
    ahead = round(context.clock_ahead)
    words = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} AWS's"
    if abs(ahead) > MAX_CLOCK_SECONDS:
        yield to_do(words, "AWS refuses what is signed at another time: set the clock (timedatectl set-ntp true).")
    else:
        yield ok(words)


def region(context: CheckContext) -> Iterator[Finding]:
    """Check that the region is enabled in the account, and that the AWS command line uses it."""
    wanted, own = context.region, context.session.region_name
    try:
        regions = context.aws("ec2", context.home()).describe_regions(RegionNames=[wanted], AllRegions=True)["Regions"]
    except ClientError as error:
        if error_code(error) != "InvalidParameterValue":
            raise
        regions = []
    if not regions:
        yield to_do(f"there is no region {wanted}", "Correct `region` in site.toml.")
    elif regions[0].get("OptInStatus") == "not-opted-in":
        yield to_do(f"{wanted} is not enabled in this account", "Enable it (console, Account, AWS Regions), which takes minutes.")
    elif context.site and own and own != wanted:
        yield to_do(f"{wanted}, but AWS_REGION or the profile says {own}", f"export AWS_REGION={wanted}")
    else:
        yield ok(f"{wanted} is enabled")


def site_settings(context: CheckContext) -> Iterator[Finding]:
    """Check that site.toml exists and is valid."""
    if context.site_error:
        yield to_do(context.site_error, "Correct it: docs/settings.md has every setting.")
    elif context.site:
        site = context.site
        yield ok(f"site.toml: {site.domain}, {site.account}, {site.region}, {site.size}, tls = {site.tls}")
    elif context.settings_error:
        yield to_do(context.settings_error, "Correct them in the secret (docs/operations.md, step 5), or in $VAR_DIR/env.")
    elif context.settings:
        yield ok(f"the settings of this control plane: {context.origin}, {context.account}, {context.region}")
    else:
        yield not_yet(1, "there is no site.toml", "cp site.example.toml site.toml, and fill in the first four.")
