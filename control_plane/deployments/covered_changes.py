"""The changes that a deployment brings to AWS, and who asked for each."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from control_plane.deployments.models import Change, Deployment

# What a page shows of them; the rest is told as a number.
MAX_SHOWN = 200


@dataclass(frozen=True)
class Covered:
    """`generations` says which in words; `more` counts the changes that are not shown."""

    generations: str
    changes: list[Change]
    more: int


def covered_by(deployment: Deployment) -> Covered:
    """What this run brings: also what earlier runs of the stack were asked for and did not bring. At most two queries."""
    found = covered_changes(deployment)
    changes = list(found[: MAX_SHOWN + 1])
    more = found.count() - MAX_SHOWN if len(changes) > MAX_SHOWN else 0
    return Covered(generations_covered(deployment), _once(changes[:MAX_SHOWN]), more)


def covered_changes(deployment: Deployment) -> QuerySet[Change]:
    """All that this run brings, oldest first, with those of earlier runs of the stack that did not bring them."""
    in_range = Q(
        deployment__stack=deployment.stack_id, generation__gt=deployment.from_generation, generation__lte=deployment.generation
    )
    # Later runs of the same generation have notes of their own, such as "Deploying it again", which are not this one's.
    return Change.objects.filter(
        Q(deployment=deployment.pk) | (in_range & Q(deployment__lt=deployment.pk)),
    ).order_by("generation", "pk")


def generations_covered(deployment: Deployment) -> str:
    """'covers generation 4', 'covers generations 4 to 6', or that it brings what was there before."""
    first, last = deployment.from_generation + 1, deployment.generation
    if first > last:
        return f"brings generation {last} again"
    return f"covers generation {last}" if first == last else f"covers generations {first} to {last}"


def headline(changes: list[Change], otherwise: str) -> str:
    """The first change in its own words, and how many more there are."""
    if not changes:
        return otherwise
    return f"{changes[0].summary} and {len(changes) - 1} more" if len(changes) > 1 else changes[0].summary


def _once(changes: list[Change]) -> list[Change]:
    """A run that starts over after a lost worker has copies of its predecessor's changes: show each once."""
    seen: dict[tuple[int, str, str], Change] = {}
    for change in changes:
        seen.setdefault((change.generation, change.summary, change.actor), change)
    return list(seen.values())
