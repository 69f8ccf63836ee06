"""Groups, analyses, who may use them, and who asks to: made by the services that pages and commands call."""

from typing import Any

from factory.declarations import LazyAttribute, Sequence, SubFactory, Trait
from factory.django import DjangoModelFactory

from control_plane.access.groups.models import Access, Analysis, Grant, Group, JoinRequest, Membership
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis
from control_plane.access.groups.services.groups import create_group
from control_plane.access.groups.services.join_codes import make_join_code
from control_plane.access.groups.services.joining import ask_to_join
from control_plane.access.groups.services.members import add_member
from tests.actors import OPERATOR, actor_of
from tests.factories.deployments import settle
from tests.factories.people import UserFactory


class GroupFactory(DjangoModelFactory[Group]):
    """A group whose stack waits for its first deployment, or has had it: `deployed=True`."""

    class Meta:
        model = Group

    slug = Sequence(lambda number: f"lab-{number}")
    actor = OPERATOR
    deployed = False

    @classmethod
    def _create(cls, model_class: type[Group], *args: Any, deployed: bool, **wish: Any) -> Group:
        group, _ = create_group(**wish)
        if deployed:
            settle(group.stack)
        return group


class AnalysisFactory(DjangoModelFactory[Analysis]):
    """An analysis whose bucket AWS is to make, or has made: `deployed=True`."""

    class Meta:
        model = Analysis

    slug = Sequence(lambda number: f"analysis-{number}")
    bucket: Any = LazyAttribute(lambda analysis: f"cohort-{analysis.slug}")
    actor = OPERATOR
    deployed = False

    @classmethod
    def _create(cls, model_class: type[Analysis], *args: Any, deployed: bool, **wish: Any) -> Analysis:
        analysis, _ = create_analysis(**wish)
        if deployed:
            settle(analysis.stack)
        return analysis


class MembershipFactory(DjangoModelFactory[Membership]):
    """A person in a group, on the way to AWS or there: `deployed=True`. Traits: `keys` (an access key) and `manager`."""

    class Meta:
        model = Membership

    class Params:
        keys = Trait(access=Access.KEYS)
        manager = Trait(as_manager=True)

    group = SubFactory(GroupFactory)
    user = SubFactory(UserFactory)
    access = Access.FEDERATED
    as_manager = False
    actor = OPERATOR
    deployed = False

    @classmethod
    def _create(
        cls, model_class: type[Membership], *args: Any, group: Group, user: Any, deployed: bool, **terms: Any
    ) -> Membership:
        add_member(group=group, user=user, **terms)
        if deployed:
            settle(group.stack)
        membership: Membership = Membership.objects.wanted().get(group=group, user=user)
        membership.group, membership.user = group, user
        return membership


class GrantFactory(DjangoModelFactory[Grant]):
    """An analysis that a group may read and write (trait `read_only`: only read), on the way to AWS or there: `deployed=True`."""

    class Meta:
        model = Grant

    class Params:
        read_only = Trait(level=Grant.Level.READ_ONLY)

    group = SubFactory(GroupFactory)
    analysis = SubFactory(AnalysisFactory)
    level = Grant.Level.READ_WRITE
    actor = OPERATOR
    deployed = False

    @classmethod
    def _create(cls, model_class: type[Grant], *args: Any, group: Group, analysis: Analysis, deployed: bool, **terms: Any) -> Grant:
        grant_analysis(group=group, analysis=analysis, **terms)
        if deployed:
            settle(group.stack)
        grant: Grant = Grant.objects.wanted().get(group=group, analysis=analysis)
        grant.group, grant.analysis = group, analysis
        return grant


def join_code_for(group: Group, **terms: int) -> str:
    """The text of a fresh join code: the row keeps its hash alone, so no factory's row could tell it."""
    return make_join_code(group=group, actor=OPERATOR, **terms)[1]


class JoinRequestFactory(DjangoModelFactory[JoinRequest]):
    """A request that waits for a decision: to join `group`, or, with `new_group_name`, a new one. `is_verified=False`: not yet."""

    class Meta:
        model = JoinRequest

    user = SubFactory(UserFactory)
    group: Any = None
    new_group_name = ""

    @classmethod
    def _create(cls, model_class: type[JoinRequest], *args: Any, user: Any, group: Group | None, **wish: Any) -> JoinRequest:
        code = join_code_for(group) if group else ""
        return ask_to_join(user=user, actor=actor_of(user), **{"code": code, **wish})
