"""The site's own stacks, apart from those of groups: a group's deployment waits for its synthesis, and needs none of these."""

import aws_cdk as cdk

from stacks.site.backup_stack import BackupStack
from stacks.site.host_stack import HostStack
from stacks.site.settings import Site


def add_site(app: cdk.App, site: Site) -> None:
    """Add the site's backups and its host."""
    HostStack(app, site, BackupStack(app, site))
