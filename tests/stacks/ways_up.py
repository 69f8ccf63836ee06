"""A search over what each principal of an account may do, for ways in which one comes to act as another, up to an administrator.

Each step is decided by an IAM simulator, with policies, boundaries and trust. Where AWS's documents leave room, the search takes
the attacker's side: to pass a role to a service that the role trusts is to act as it, whatever else that service asks for; whoever
may make a principal may give it all that its boundary lets through.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.stacks.simulation import ACCOUNT, Call, Question, decide_all
from tests.stacks.simulation.model import ADMINISTRATOR_ACCESS, EVERYTHING, IAM, Model, Principal

# Where a new principal could be put.
NEW = ("cohort/new", "cohort-host/new", "new", "cdk-new")
OWN_POLICY = f"{IAM}policy/cohort/new"


class Standing(NamedTuple):
    """Somebody whom the search came to act as. `is_free`: they may be given any policy; the boundary is what then is left."""

    arn: str
    is_free: bool
    boundary: str


class Step(NamedTuple):
    """What somebody could try: all of these calls, of which each needs leave, and what comes of it."""

    name: str
    calls: tuple[Call, ...]
    # Who is acted as then (`become`), gets any policy (`raise`), or loses their boundary (`unbind`).
    effect: str
    arns: tuple[str, ...]
    boundary: str = ""
    trust: Any = None


@dataclass
class Search:
    """What was reached from somewhere, and how."""

    model: Model
    reached: dict[Standing, tuple[str, ...]] = field(default_factory=dict)
    raised: dict[str, str] = field(default_factory=dict)
    unbound: dict[str, str] = field(default_factory=dict)

    def run(self, start: str) -> "Search":
        """Go on until nothing new is found, or an administrator."""
        new = [self._standing(start, (_short(start),))]
        while new and not self.administrators:
            tried = [(standing, step) for standing in new for step in steps(self.model)]
            questions = [self._question(standing, step, call) for standing, step in tried for call in step.calls]
            answers = iter(decide_all(questions))
            before = set(self.reached)
            for standing, step in tried:
                # Each has an answer, also those after one that is refused.
                allowed = [next(answers) for _ in step.calls]
                if all(allowed):
                    self._take(standing, step)
            self._lift()
            new = [standing for standing in self.reached if standing not in before]
        return self

    @property
    def administrators(self) -> list[str]:
        """The way to each that is one: all policies and no boundary."""
        return [" -> ".join(way) for standing, way in self.reached.items() if self._is_administrator(standing)]

    @property
    def helped(self) -> dict[str, str]:
        """Who would be an administrator by what can be done for them, though nobody here comes to act as them."""
        acted_as = {standing.arn for standing in self.reached}
        return {
            arn: how
            for arn, how in self.raised.items()
            if arn not in acted_as and (not self.model.principals[arn].boundary or arn in self.unbound)
        }

    def _is_administrator(self, standing: Standing) -> bool:
        if standing.boundary:
            return False
        held = self.model.principals.get(standing.arn)
        return standing.is_free or (held is not None and ADMINISTRATOR_ACCESS in held.attached)

    def _standing(self, arn: str, way: tuple[str, ...], boundary: str | None = None) -> Standing:
        held = self.model.principals.get(arn)
        bound = boundary if boundary is not None else held.boundary if held and arn not in self.unbound else ""
        standing = Standing(arn, held is None or arn in self.raised, bound)
        self.reached.setdefault(standing, way)
        return standing

    def _question(self, standing: Standing, step: Step, call: Call) -> Question:
        held = self.model.principals.get(standing.arn)
        policies = {"everything": EVERYTHING}
        if held and not standing.is_free:
            policies = {**held.inline, **{arn: self.model.policies[arn] for arn in held.attached}}
        boundary = self.model.policies[standing.boundary] if standing.boundary else None
        return Question(call, policies, boundary, step.trust, standing.arn)

    def _take(self, standing: Standing, step: Step) -> None:
        way = (*self.reached[standing], step.name)
        for arn in step.arns:
            if step.effect == "become":
                self._standing(arn, way, step.boundary if arn not in self.model.principals else None)
            else:
                (self.raised if step.effect == "raise" else self.unbound).setdefault(arn, " -> ".join(way))

    def _lift(self) -> None:
        """Whoever is acted as already is so with what has been changed for them."""
        for standing in list(self.reached):
            if standing.arn in self.model.principals and (standing.arn in self.raised or standing.arn in self.unbound):
                how = [said[standing.arn] for said in (self.raised, self.unbound) if standing.arn in said]
                self._standing(standing.arn, (*self.reached[standing], f"({'; '.join(how)})"))


def steps(model: Model) -> list[Step]:
    """Everything that is tried of everybody."""
    held = model.principals.values()
    return [
        *(step for item in held if item.trust for step in _of_role(item)),
        *(step for item in held if item.kind == "user" for step in _of_user(item)),
        *_of_policies(model),
        *_of_groups(model),
        *_new(model),
        *(
            Step(
                f"{' and '.join(way)} on {thing.name}",
                tuple(Call(action, thing.arn, thing.context) for action in way),
                "become",
                (thing.leads_to,),
            )
            for thing in model.things
            for way in thing.ways
        ),
    ]


def _of_role(role: Principal) -> Iterator[Step]:
    name = _short(role.arn)
    yield Step(f"assume {name}", (Call("sts:AssumeRole", role.arn),), "become", (role.arn,), trust=role.trust)
    for service in _services(role.trust):
        passed = Call("iam:PassRole", role.arn, {"iam:PassedToService": service})
        yield Step(f"pass {name} to {service}", (passed,), "become", (role.arn,))
    yield Step(f"trust oneself in {name}", (Call("iam:UpdateAssumeRolePolicy", role.arn),), "become", (role.arn,))
    yield from _changed(role)


def _of_user(user: Principal) -> Iterator[Step]:
    for verb in ("CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile"):
        yield Step(f"{verb} for {_short(user.arn)}", (Call(f"iam:{verb}", user.arn),), "become", (user.arn,))
    yield from _changed(user)


def _changed(one: Principal) -> Iterator[Step]:
    """Other policies, or another boundary."""
    kind, name = one.kind.title(), _short(one.arn)
    bound = {"iam:PermissionsBoundary": one.boundary} if one.boundary else {}
    yield Step(f"Put{kind}Policy on {name}", (Call(f"iam:Put{kind}Policy", one.arn, bound),), "raise", (one.arn,))
    for policy in (ADMINISTRATOR_ACCESS, OWN_POLICY):
        attach = Call(f"iam:Attach{kind}Policy", one.arn, bound | {"iam:PolicyARN": policy})
        made = (Call("iam:CreatePolicy", OWN_POLICY),) if policy == OWN_POLICY else ()
        yield Step(f"attach {_short(policy)} to {name}", (attach, *made), "raise", (one.arn,))
    put = {"iam:PermissionsBoundary": ADMINISTRATOR_ACCESS}
    for verb, keys in (("Delete", bound), ("Put", put)):
        call = Call(f"iam:{verb}{kind}PermissionsBoundary", one.arn, keys)
        yield Step(f"{call.action} on {name}", (call,), "unbind", (one.arn,))


def _of_policies(model: Model) -> Iterator[Step]:
    """Another version of a policy: for all who have it, or are bound by it."""
    for arn in model.policies:
        if ":aws:policy/" in arn:
            continue
        having = tuple(principal.arn for principal in model.principals.values() if arn in principal.attached)
        bound = tuple(principal.arn for principal in model.principals.values() if arn == principal.boundary)
        for verb in ("CreatePolicyVersion", "SetDefaultPolicyVersion"):
            for effect, arns in (("raise", having), ("unbind", bound)):
                if arns:
                    yield Step(f"{verb} of {_short(arn)}", (Call(f"iam:{verb}", arn),), effect, arns)


def _of_groups(model: Model) -> Iterator[Step]:
    """IAM asks about the group alone when a user is added to it, whoever that user is."""
    users = tuple(principal.arn for principal in model.principals.values() if principal.kind == "user")
    for group in model.groups:
        add, name = Call("iam:AddUserToGroup", group), _short(group)
        if group.endswith("/administrators"):
            yield Step(f"AddUserToGroup {name}", (add,), "raise", users)
        yield Step(f"PutGroupPolicy and AddUserToGroup {name}", (add, Call("iam:PutGroupPolicy", group)), "raise", users)
        attach = Call("iam:AttachGroupPolicy", group, {"iam:PolicyARN": ADMINISTRATOR_ACCESS})
        yield Step(f"AttachGroupPolicy and AddUserToGroup {name}", (add, attach), "raise", users)


def _new(model: Model) -> Iterator[Step]:
    boundaries = sorted({principal.boundary for principal in model.principals.values() if principal.boundary})
    for kind in ("role", "user"):
        for place in NEW:
            arn = f"{IAM}{kind}/{place}"
            for boundary in ("", ADMINISTRATOR_ACCESS, *boundaries):
                call = Call(f"iam:Create{kind.title()}", arn, {"iam:PermissionsBoundary": boundary} if boundary else {})
                bound = "" if boundary == ADMINISTRATOR_ACCESS else boundary
                yield Step(f"make {kind}/{place} within {_short(boundary) or 'nothing'}", (call,), "become", (arn,), bound)


def _services(trust: Any) -> Iterable[str]:
    for statement in trust["Statement"]:
        named = statement["Principal"].get("Service", ()) if isinstance(statement["Principal"], dict) else ()
        yield from [named] if isinstance(named, str) else named


def _short(arn: str) -> str:
    return arn.rpartition(f":{ACCOUNT}:")[2].rpartition(":")[2]


def ways_up(model: Model, start: str) -> list[str]:
    """The ways from this principal to an administrator; none where there is no way."""
    return Search(model).run(start).administrators
