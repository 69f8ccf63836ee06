"""`manage.py demo ensure`: a little data to look at, on a machine of one's own."""

from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.db import transaction
from django.db.models import Q

from control_plane.access.groups.models import Access, Analysis, Grant, Group
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis
from control_plane.access.groups.services.groups import create_group, set_allows_keys
from control_plane.access.groups.services.join_codes import make_join_code
from control_plane.access.groups.services.joining import ask_to_join
from control_plane.access.groups.services.members import add_members, find_or_create_user, find_user, set_manager
from control_plane.accounts.models import User
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.terminal import DeployingCommand
from control_plane.research.catalogue.entries import describe, read_folder
from control_plane.research.storage.group_folder import find_group_folder
from control_plane.research.storage.objects import NoAnswer, list_below
from control_plane.research.storage.sessions import Purpose, s3_client

GROUP, ANALYSIS, BUCKET = "demo-lab", "demo-traces", "cohort-demo-traces"
MEMBERS = {"ada@example.org": Access.KEYS, "grace@example.org": Access.FEDERATED}
MANAGER = "grace@example.org"
EXAMPLE = Path(__file__).resolve().parents[4] / "assets" / "example_analysis"
CODE_HOLDER = "lise@example.org"
WANTING_A_GROUP = ("emmy@example.org", "Noether Lab")


class Command(DeployingCommand):
    """Demonstration data from a terminal."""

    help = "Make a demonstration group with an analysis and a few people."

    def add_verbs(self) -> None:
        self.verb("ensure", self.ensure, "Make the demonstration data unless it is there.", deploys=True)
        self.verb("samples", self.samples, "Put the sample recordings into the group's folder, unless it holds something.")

    def ensure(self, options: dict[str, Any]) -> None:
        if Group.objects.filter(slug=GROUP).exists() or Analysis.objects.filter(slug=ANALYSIS).exists():
            self._follow_what_was_begun(options)
            return
        with transaction.atomic():
            deployments = self._make()
            self._have_some_ask()
        self.follow_all(options, deployments, {"made": True}, "The demonstration data is being made.")

    def _follow_what_was_begun(self, options: dict[str, Any]) -> None:
        stacks = Stack.objects.filter(Q(group__slug=GROUP) | Q(analyses__slug=ANALYSIS)).distinct()
        begun = list(Deployment.objects.filter(stack__in=stacks, state__in=Deployment.OPEN).select_related("stack").order_by("pk"))
        self.follow_all(options, begun, {"made": False}, "The demonstration data is there already.")

    def samples(self, options: dict[str, Any]) -> None:
        try:
            place = find_group_folder(group_slug=GROUP, analysis_slug=ANALYSIS, user=find_user(MANAGER))
        except Refused as error:
            # Whoever changed the demonstration wanted it so.
            self.show(options, {"put": 0}, f"No recordings were put there: {error}")
            return
        files = sorted((EXAMPLE / "samples").glob("*.csv"))
        is_new = next(iter(list_below(place, f"{place.prefix}inputs/")), None) is None
        try:
            for file in files if is_new else []:
                key = f"{place.prefix}inputs/{file.name}"
                s3_client(place, Purpose.UPLOAD).put_object(
                    Bucket=place.bucket, Key=key, Body=file.read_bytes(), ContentType="text/csv"
                )
        except (BotoCoreError, ClientError) as error:
            raise NoAnswer(f"S3 did not take the samples: {error}. Try again.") from error
        said = (
            f"{len(files)} recordings lie in s3://{place.bucket}/{place.prefix}inputs/." if is_new else "There are files already."
        )
        self.show(options, {"put": len(files) if is_new else 0}, said)

    def _make(self) -> list[Deployment]:
        analysis, storage = create_analysis(slug=ANALYSIS, bucket=BUCKET, name="Demo Traces", actor=self.actor)
        said = {"summary": "The mean of several traces, and a plot of it: the example that comes with Cohort."}
        describe(analysis=analysis, actor=self.actor, **said, **read_folder(EXAMPLE))
        group, _ = create_group(slug=GROUP, name="Demo Lab", actor=self.actor)
        grant_analysis(analysis=analysis, group=group, level=Grant.Level.READ_WRITE, actor=self.actor)
        for email, access in MEMBERS.items():
            person = find_or_create_user(email, actor=self.actor)
            add_members(group=group, users=[person], access=access, actor=self.actor)
        set_allows_keys(group=group, allows=True, actor=self.actor)
        set_manager(group=group, user=find_user(MANAGER), is_manager=True, actor=self.actor)
        # Whoever looks at the demonstration can send files at once.
        administrators = list(User.objects.filter(is_superuser=True, is_active=True))
        return [storage, add_members(group=group, users=administrators, access=Access.FEDERATED, actor=self.actor)]

    def _have_some_ask(self) -> None:
        """Two people who wait for a decision: one to join the group by a code of it, one for a group of their own."""
        _, code = make_join_code(group=Group.objects.get(slug=GROUP), actor=self.actor)
        asker, name = WANTING_A_GROUP
        ask_to_join(user=find_or_create_user(CODE_HOLDER, actor=self.actor), actor=self.actor, code=code)
        ask_to_join(user=find_or_create_user(asker, actor=self.actor), actor=self.actor, new_group_name=name)
