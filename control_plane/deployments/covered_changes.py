"""The changes that a deployment brings to AWS, and who asked for each."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from control_plane.deployments.models import Change, Deployment

# Changes that a page shows; the others are only counted.
MAX_SHOWN_CHANGES = 200


@dataclass(frozen=True)
class CoveredChanges:
    """Changes that one deployment brings. `generations` says which in words; `more` counts the changes that are not shown."""

    generations: str
    changes: list[Change]
    more: int


def covered_by(deployment: Deployment) -> CoveredChanges:
    """Return what this run brings, with what earlier runs of the stack were asked for and did not bring. At most two queries."""
    covered = covered_changes(deployment)
    changes = list(covered[: MAX_SHOWN_CHANGES + 1])
    more = covered.count() - MAX_SHOWN_CHANGES if len(changes) > MAX_SHOWN_CHANGES else 0
    return CoveredChanges(generations_covered(deployment), _once(changes[:MAX_SHOWN_CHANGES]), more)


def covered_changes(deployment: Deployment) -> QuerySet[Change]:
    """Return all changes that this run brings, oldest first, with those that earlier runs of the stack did not bring."""
    in_range = Q(
        deployment__stack=deployment.stack_id, generation__gt=deployment.from_generation, generation__lte=deployment.generation
    )
    # Later runs of the same generation have notes of their own, such as "Deploying it again", which are not this one's.
    return Change.objects.filter(
        Q(deployment=deployment.pk) | (in_range & Q(deployment__lt=deployment.pk)),
    ).order_by("generation", "pk")


def generations_covered(deployment: Deployment) -> str:
    """Return the generations in words: 'covers generation 4', 'covers generations 4 to 6' or 'brings generation 4 again'."""
    first, last = deployment.from_generation + 1, deployment.generation
    if first > last:
        return f"brings generation {last} again"
    return f"covers generation {last}" if first == last else f"covers generations {first} to {last}"


def headline(changes: list[Change], otherwise: str) -> str:
    """Return the first change's summary and the number of further ones; `otherwise` if there are none."""
    if not changes:
        return otherwise
    return f"{changes[0].summary} and {len(changes) - 1} more" if len(changes) > 1 else changes[0].summary


def _once(changes: list[Change]) -> list[Change]:
    """Return each change once: a run that starts over after a lost worker has copies of its predecessor's changes."""
    seen: dict[tuple[int, str, str], Change] = {}
    for change in changes:
        seen.setdefault((change.generation, change.summary, change.actor), change)
    return list(seen.values())
