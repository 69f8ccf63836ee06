"""Deactivating and deleting people in the administration, and what the “active” box of a person's form does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from control_plane.access.people.removals import activate, preview_removal, remove_people
from control_plane.accounts.models import User
from control_plane.accounts.permissions import active_administrators, is_administrator
from control_plane.accounts.services.deletion import LastAdministrator
from control_plane.administration.pages import MAX_SELECTED
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment

NO_ACCESS_BACK = "Access is not given back by itself: add them to their groups again."
MAX_LINKS = 10
KEEP, DELETE = "keep", "delete"


class RemovalForm(forms.Form):
    """What becomes of the accounts; and, where more than one goes or it cannot be undone, the words that say so."""

    account = forms.ChoiceField(
        label="Their accounts",
        choices=((KEEP, "Deactivate: name and address stay"), (DELETE, "Delete: erased once AWS has let go; cannot be undone")),
        initial=KEEP,
        widget=UnfoldAdminRadioSelectWidget,
    )
    typed = forms.CharField(required=False, max_length=254, label="To confirm", widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, people: list[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_many = len(people) > 1
        self._wanted = f"{len(people)} people" if self._is_many else people[0].email
        when = "" if self._is_many else " if the account is to be deleted"
        self.fields["typed"].help_text = f"Type “{self._wanted}”{when}."

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        is_needed = self._is_many or data.get("account") == DELETE
        if is_needed and " ".join(data.get("typed", "").split()).lower() != self._wanted.lower():
            self.add_error("typed", f"Type “{self._wanted}” to confirm. Nothing was changed.")
        return data


def removal_page(request: HttpRequest, model_admin: ModelAdmin[Any], people: list[User]) -> HttpResponse:
    """Show what goes for each; once it is confirmed, take it."""
    if not is_administrator(request.user):
        raise PermissionDenied("Only administrators may do this. Ask one to do it for you.")
    form = RemovalForm(request.POST or None, people=people)
    if request.method == "POST" and form.is_valid():
        delete = form.cleaned_data["account"] == DELETE
        try:
            deployments = remove_people(users=people, delete=delete, actor=Actor.of_request(request))
        except Refused as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _told(people, deployments, delete=delete))
            return redirect("admin:accounts_user_changelist")
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Deactivate or delete",
        "form": form,
        "losses": preview_removal(people),
    }
    return TemplateResponse(request, "admin/cohort/remove_people.html", context, status=422 if form.errors else 200)


def told_activated(request: HttpRequest, people: QuerySet[User]) -> tuple[str, int]:
    """Activate them, and what to tell about it."""
    try:
        changed = activate(users=list(people[:MAX_SELECTED]), actor=Actor.of_request(request))
    except Refused as error:
        return str(error), messages.ERROR
    if not changed:
        return "They are active already. Nothing was changed.", messages.WARNING
    who = changed[0].email if len(changed) == 1 else f"{len(changed)} people"
    return f"{who} can sign in again. {NO_ACCESS_BACK}", messages.SUCCESS


@contextmanager
def save_activity(person: User, before: dict[str, Any] | None, *, actor: Actor) -> Iterator[None]:
    """Have the form's “active” box do what the page and the command do, whatever else is saved.

    Raises what `remove_people` and `activate` do, and LastAdministrator where the form takes an administrator's rights.
    """
    wanted = person.is_active
    if before is not None:
        person.is_active = before["is_active"]
    yield
    if before is not None and wanted != person.is_active:
        if wanted:
            activate(users=[person], actor=actor)
        else:
            remove_people(users=[person], actor=actor)
        person.refresh_from_db()
    if before is not None and before["is_superuser"] and not active_administrators().exists():
        raise LastAdministrator("The site would have no administrator. Nothing was changed; make somebody else one first.")


def _told(people: list[User], deployments: list[Deployment], *, delete: bool) -> str:
    who = people[0].email if len(people) == 1 else f"{len(people)} people"
    done = "cannot sign in any more"
    after = "; erased once AWS has let go" if delete else ""
    links = format_html_join(
        ", ",
        '<a class="underline font-semibold" href="{}">deployment {}</a>',
        ((one.get_absolute_url(), one.pk) for one in deployments[:MAX_LINKS]),
    )
    more = f" and {len(deployments) - MAX_LINKS} more" if len(deployments) > MAX_LINKS else ""
    access = format_html("Their access is being taken away: {}{}.", links, more) if deployments else "They had no access."
    return format_html("{} {}{}. {}", who, done, after, access)
