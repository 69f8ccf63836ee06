"""Every e-mail and every webhook document, as it arrives after what causes it."""

import json
from email.utils import parseaddr
from pathlib import Path

from django.core.mail import EmailMessage
from django.template import engines
from django.test.signals import template_rendered

from tests.record import account_mails, group_mails, product
from tests.record.documents import Record
from tests.record.normalise import normalise
from tests.record.running import Site
from tests.record.shapes import shape
from tests.record.stories import compact

# Headers that say how the message is to be taken; the others are of the way that it went.
TELLING = ("Auto-Submitted", "Reply-To", "List-Unsubscribe")


def account_story(site: Site) -> Record:
    """The e-mails about somebody's own account. Each template of ours must have been written by one of them."""
    rendered: set[str] = set()

    def note(sender: object, template: object, **_: object) -> None:
        rendered.add(str(getattr(template, "name", "")))

    template_rendered.connect(note)
    try:
        record = recorded(site, account_mails.STORY, "accounts")
    finally:
        template_rendered.disconnect(note)
    assert not (left := subjects() - rendered), f"no story sends these e-mails: {sorted(left)}"
    return record


def group_story(site: Site) -> Record:
    """The e-mails about groups, deployments, requests, keys, jobs and reviews; and the webhook's documents."""
    return recorded(site, group_mails.STORY, "groups") | webhooks(site)


def webhooks(site: Site) -> Record:
    """What was posted: of each type one, with the headers that sign it."""
    found = {}
    for headers, body in site.received:
        document = json.loads(body)
        signing = sorted(name for name in headers if name.startswith("webhook-") or name == "content-type")
        found[document["type"]] = f"{', '.join(signing)}\n{compact(shape(document))}\n"
    return {f"webhooks/{kind}.txt": text for kind, text in sorted(found.items())}


def recorded(site: Site, story: tuple[account_mails.Step, ...], folder: str) -> Record:
    """The e-mails that came of each step of a story. Whoever is told nothing by a step that should tell fails it."""
    found: Record = {}
    site.mails()
    for number, step in enumerate(story, 1):
        step(site)
        told = sorted(map(written, site.mails()))
        if step.__name__.startswith("_"):
            continue
        assert told, f"nobody is told when {step.__doc__}"
        what = step.__name__.replace("_", "-")
        found[f"mails/{folder}/{number:02d}-{what}.txt"] = f"\n{'-' * 72}\n".join([f"{step.__doc__}\n", *told])
    return found


def written(message: EmailMessage) -> str:
    """An e-mail as a person reads it."""
    headers = [f"{name}: {message.extra_headers[name]}" for name in TELLING if name in message.extra_headers]
    lines = [f"From: {parseaddr(message.from_email)[0]}", f"To: {', '.join(message.to)}", *headers, f"Subject: {message.subject}"]
    return normalise("\n".join(lines) + f"\n\n{str(message.body).strip()}\n")


def subjects() -> set[str]:
    """The names of the templates of subjects that the product has."""
    folders = {Path(folder) for engine in engines.all() for folder in engine.template_dirs}
    ours = [
        folder for folder in folders if folder.is_relative_to(product.ROOT) and not folder.is_relative_to(product.ROOT / ".venv")
    ]
    return {path.relative_to(folder).as_posix() for folder in ours for path in folder.rglob("email/*_subject.txt")}
