"""`manage.py group`: make groups and look at them."""

from typing import Any

from django.db.models import Count, Q

from control_plane.access.groups.management.commands.member import add_overlap
from control_plane.access.groups.models import Group
from control_plane.access.groups.services.groups import create_group, find_group, set_allows_keys
from control_plane.access.groups.services.keys import remove_old_keys, rotate_group_keys
from control_plane.access.groups.services.suspension import resume_group, suspend_group
from control_plane.base.terminal import table
from control_plane.deployments.terminal import DeployingCommand


class Command(DeployingCommand):
    """Groups from a terminal."""

    help = "Make groups and look at them."

    def add_verbs(self) -> None:
        create = self.verb("create", self.create, "Make a group and its access on AWS.", deploys=True)
        create.add_argument("slug", help="2 to 32 of a-z, 0-9 and hyphens; its short name on AWS, never changed later.")
        create.add_argument("--name", default="", help="What people call it (the slug, if left out).")
        listed = self.verb("list", self.list, "List the groups.")
        listed.add_argument("--standing", choices=("all", "active", "retired"), default="all", help="Which of them.")
        self.verb("show", self.show_one, "Show a group's members and analyses.").add_argument("slug")
        keys = self.verb("keys", self.keys, "Say whether the group's managers may give members an access key of their own.")
        keys.add_argument("slug")
        keys.add_argument("allowed", choices=("allow", "forbid"))
        suspend = self.verb("suspend", self.suspend, "Deny everything to a whole group, within seconds.", deploys=True)
        suspend.add_argument("slug")
        resume = self.verb("resume", self.resume, "Let a suspended group in again.", deploys=True)
        resume.add_argument("slug")
        rotate = self.verb("rotate-keys", self.rotate_keys, "Replace all access keys of a group, in one deployment.", deploys=True)
        rotate.add_argument("slug")
        add_overlap(rotate, "How long the old keys work beside the new ones; with 0 they end at once.")
        removing = self.verb(
            "remove-old-keys", self.remove_old_keys, "Remove the group's old keys now, in one deployment.", deploys=True
        )
        removing.add_argument("slug")

    def create(self, options: dict[str, Any]) -> None:
        group, deployment = create_group(slug=options["slug"], name=options["name"], actor=self.actor)
        self.follow(options, deployment, {"group": group_as_dict(group)}, f"The group {group.name} ({group.slug}) is being made.")

    def list(self, options: dict[str, Any]) -> None:
        groups = Group.objects.select_related("stack").annotate(
            people=Count("memberships", filter=Q(memberships__removed_generation__isnull=True))
        )
        if options["standing"] != "all":
            groups = groups.filter(retired_at__isnull=options["standing"] == "active")
        rows = [[group.slug, group.name, str(group.people), _state(group)] for group in groups]
        documents = [group_as_dict(group) | {"members": group.people} for group in groups]
        self.show(options, documents, table(rows, ["SLUG", "NAME", "MEMBERS", "STATE"]))

    def show_one(self, options: dict[str, Any]) -> None:
        group = find_group(options["slug"])
        memberships = group.memberships.with_state().not_ended().select_related("user")
        grants = group.grants.with_state().not_ended().select_related("analysis")
        document = group_as_dict(group) | {
            "members": [
                {
                    "email": row.user.email,
                    "username": row.username,
                    "access": row.access,
                    "is_manager": row.is_manager,
                    "state": row.state,
                    "suspended_at": row.suspended_at,
                }
                for row in memberships
            ],
            "analyses": [
                {"slug": row.analysis.slug, "bucket": row.analysis.bucket, "access": row.level, "state": row.state}
                for row in grants
            ],
        }
        people = table(
            [
                [row.user.email, row.access, "yes" if row.is_manager else "", "suspended" if row.suspended_at else row.state]
                for row in memberships
            ],
            ["MEMBER", "ACCESS", "MANAGER", "STATE"],
        )
        uses = table(
            [[row.analysis.slug, row.analysis.bucket, row.level, row.state] for row in grants],
            ["ANALYSIS", "BUCKET", "ACCESS", "STATE"],
        )
        self.show(options, document, f"{group.name} ({group.slug}): {_state(group)}\n\n{people}\n\n{uses}")

    def keys(self, options: dict[str, Any]) -> None:
        group = set_allows_keys(group=find_group(options["slug"]), allows=options["allowed"] == "allow", actor=self.actor)
        now = "may give members keys of their own" if group.allows_keys else "give short-lived credentials only"
        self.show(options, {"group": group_as_dict(group)}, f"Managers of {group.name} {now}.")

    def suspend(self, options: dict[str, Any]) -> None:
        group = find_group(options["slug"])
        deployment = suspend_group(group=group, actor=self.actor)
        text = f"{group.name} is suspended: AWS denies everything within seconds."
        self.follow(options, deployment, {"group": group_as_dict(group)}, text)

    def resume(self, options: dict[str, Any]) -> None:
        group = find_group(options["slug"])
        deployment = resume_group(group=group, actor=self.actor)
        text = f"{group.name} is not suspended any more; its members get in again once this is deployed."
        self.follow(options, deployment, {"group": group_as_dict(group)}, text)

    def rotate_keys(self, options: dict[str, Any]) -> None:
        group = find_group(options["slug"])
        begun = rotate_group_keys(group=group, actor=self.actor, overlap=options["overlap"])
        keys = "1 access key" if begun.replaced == 1 else f"{begun.replaced} access keys"
        text = "\n".join([f"{keys} of {group.name}: being replaced.", *begun.left_out.values()])
        document = {"group": group.slug, "replaced": begun.replaced, "left_out": begun.left_out}
        self.follow(options, begun.deployment, document, text)

    def remove_old_keys(self, options: dict[str, Any]) -> None:
        group = find_group(options["slug"])
        deployment, removed = remove_old_keys(group=group, actor=self.actor)
        keys = "1 old access key" if removed == 1 else f"{removed} old access keys"
        self.follow(options, deployment, {"group": group.slug, "removed": removed}, f"{keys} of {group.name}: being removed.")


def group_as_dict(group: Group) -> dict[str, Any]:
    """Return a group without its members, for JSON output."""
    stack = group.stack
    return {
        "slug": group.slug,
        "name": group.name,
        "allows_keys": group.allows_keys,
        "suspended_at": group.suspended_at,
        "retired_at": group.retired_at,
        "stack": stack.name,
        "account": stack.account,
        "region": stack.region,
        "generation": stack.generation,
        "deployed_generation": stack.deployed_generation,
        "cloudformation_status": stack.status,
    }


def _state(group: Group) -> str:
    stack = group.stack
    if group.retired_at is not None:
        return f"retired since {group.retired_at:%Y-%m-%d}"
    if stack.is_up_to_date:
        return "up to date"
    return f"generation {stack.generation} wanted, {stack.deployed_generation} deployed"
