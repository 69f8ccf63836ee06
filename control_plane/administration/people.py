"""People: who has access, in which groups, and what is under way, live; and the two actions that change it."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from control_plane.access.groups.models import Access, Group
from control_plane.access.groups.overview import access_of
from control_plane.access.groups.services.members import add_members, add_to_new_group, remove_members
from control_plane.accounts.models import User
from control_plane.accounts.permissions import require_administrator
from control_plane.accounts.services.emails import notify_address_changed
from control_plane.accounts.services.profile import complete_admin_edit
from control_plane.accounts.validation import fold_name
from control_plane.administration import suspension
from control_plane.administration.forms import AddToGroupForm, RemoveFromGroupForm
from control_plane.administration.pages import MAX_SELECTED, RecordedModelAdmin, service_page
from control_plane.administration.passwords import MAX_LINKS, told_links
from control_plane.administration.removal import removal_page, save_activity, told_activated
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused
from control_plane.base.request_input import read_number
from control_plane.deployments.models import Deployment

ACCOUNT_DATES = ("last_login", "date_joined", "deletion_requested_at", "erased_at")
AUDITED_FIELDS = ("email", "name", "is_active", "is_staff", "is_superuser", "requested_group", "requested_group_code", "use_code")


class PeopleList(ChangeList):
    """The list, with everybody's access looked up at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        people = list(self.result_list)
        access = access_of(people)
        for person in people:
            person.aws_access = access[person.pk]
        self.result_list = people


@admin.register(User)
class PersonAdmin(RecordedModelAdmin):
    """The list of people and its actions. Nobody's password is set here: a person sets their own, by a link."""

    list_display = ("email", "name", "has_access", "in_groups", "under_way", "requested_group", "requested_group_code", "is_active")
    list_editable = ()
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name", "requested_group")
    ordering = ("email",)
    list_per_page = 50
    list_before_template = "admin/cohort/people_live.html"
    filter_horizontal = ()
    readonly_fields = ACCOUNT_DATES
    fieldsets = (
        (None, {"fields": ("email", "name")}),
        ("Asked for at sign-up", {"fields": ("requested_group", "requested_group_code", "use_code")}),
        ("Account", {"fields": ("is_active", "is_staff", "is_superuser", *ACCOUNT_DATES)}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "requested_group")}),)
    actions = ("add_to_group", "remove_from_group", "suspend", "resume", "remove_everywhere", "activate", "send_password_link")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PeopleList

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "is_active":
            kwargs["help_text"] = "Without the tick they lose all access in every group, and are signed out everywhere."
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        return self.fieldsets if obj else self.add_fieldsets

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # An account is never deleted under its access on AWS: “Deactivate or delete…” takes that first.
        return False

    def get_urls(self) -> list[URLPattern]:
        return [
            path("access/", self.admin_site.admin_view(self.live_view), name="accounts_user_access"),
            path("add-to-group/", self.admin_site.admin_view(self.add_to_group_view), name="accounts_user_add_to_group"),
            path("remove-from-group/", self.admin_site.admin_view(self.remove_from_group_view), name="accounts_user_remove"),
            path("suspend/", self.admin_site.admin_view(self.suspend_view), name="accounts_user_suspend"),
            path("resume/", self.admin_site.admin_view(self.resume_view), name="accounts_user_resume"),
            path("leave/", self.admin_site.admin_view(self.remove_everywhere_view), name="accounts_user_leave"),
            *super().get_urls(),
        ]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        actor = Actor.of_request(request)
        require_administrator(actor)
        before = User.objects.filter(pk=obj.pk).values(*AUDITED_FIELDS).first() if change else None
        if not change:
            obj.set_unusable_password()
        with save_activity(obj, before, actor=actor):
            super().save_model(request, obj, form, change)
        complete_admin_edit(obj, actor=actor)
        after = {name: getattr(obj, name) for name in AUDITED_FIELDS}
        action = "person.change" if change else "person.create"
        record(actor, action, obj.email, before=before, after=after, changed=sorted(form.changed_data))
        if before is None:
            self.message_user(request, *told_links(request, [obj]))
        elif before["email"] != obj.email:
            notify_address_changed(obj, before["email"])

    @admin.display(description="Has access")
    def has_access(self, person: User) -> SafeString:
        return _cell("has_access", person)

    @admin.display(description="In groups")
    def in_groups(self, person: User) -> SafeString:
        return _cell("in_groups", person)

    @admin.display(description="Under way")
    def under_way(self, person: User) -> SafeString:
        return _cell("under_way", person)

    @admin.action(description="Add to group…", permissions=["change"])
    def add_to_group(self, request: HttpRequest, people: QuerySet[User]) -> HttpResponse | None:
        return self._go(request, people, "admin:accounts_user_add_to_group")

    @admin.action(description="Remove from group…", permissions=["change"])
    def remove_from_group(self, request: HttpRequest, people: QuerySet[User]) -> HttpResponse | None:
        return self._go(request, people, "admin:accounts_user_remove")

    @admin.action(description="Suspend in a group…", permissions=["change"])
    def suspend(self, request: HttpRequest, people: QuerySet[User]) -> HttpResponse | None:
        return self._go(request, people, "admin:accounts_user_suspend")

    @admin.action(description="Resume in a group…", permissions=["change"])
    def resume(self, request: HttpRequest, people: QuerySet[User]) -> HttpResponse | None:
        return self._go(request, people, "admin:accounts_user_resume")

    @admin.action(description="Deactivate or delete…", permissions=["change"])
    def remove_everywhere(self, request: HttpRequest, people: QuerySet[User]) -> HttpResponse | None:
        return self._go(request, people, "admin:accounts_user_leave")

    @admin.action(description="Activate again", permissions=["change"])
    def activate(self, request: HttpRequest, people: QuerySet[User]) -> None:
        self.message_user(request, *told_activated(request, people))

    @admin.action(description="Send a link to set a password", permissions=["change"])
    def send_password_link(self, request: HttpRequest, people: QuerySet[User]) -> None:
        self.message_user(request, *told_links(request, list(people[:MAX_LINKS])))

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """The live columns of the people named, as replacements for what the page shows."""
        people = list(self.get_queryset(request).filter(pk__in=_ids(request)))
        access = access_of(people)
        for person in people:
            person.aws_access = access[person.pk]
        return render(request, "admin/cohort/people_cells.html", {"people": people})

    def add_to_group_view(self, request: HttpRequest) -> HttpResponse:
        """Ask which group, existing or new, and how they get in; then add them all, or none."""
        people = self._selected(request)
        if not people:
            return self._nobody(request)

        def perform(data: dict[str, Any]) -> Deployment:
            fields: dict[str, Any] = {
                "users": people,
                "access": Access(data["access"]),
                "as_managers": data["as_managers"],
                "actor": Actor.of_request(request),
            }
            if data["group"]:
                return add_members(group=data["group"], **fields)
            return add_to_new_group(slug=data["new_slug"], name=data["new_name"], **fields)[1]

        return service_page(
            request,
            self,
            form=AddToGroupForm(request.POST or None, initial=_proposed_group(people)),
            title="Add to group",
            intent="They get access to what the group may use. Others in the group are not touched.",
            button="Add to group",
            perform=perform,
            subjects=people,
        )

    def remove_from_group_view(self, request: HttpRequest) -> HttpResponse:
        """Ask from which group; then remove them all, or none."""
        people = self._selected(request)
        if not people:
            return self._nobody(request)
        form = RemoveFromGroupForm(request.POST or None, user_ids=[person.pk for person in people])
        return service_page(
            request,
            self,
            form=form,
            hindrance="" if form.has_groups else "None of them is in a group: there is nothing to remove them from.",
            title="Remove from group",
            intent="Their keys and sessions for this group stop working. Their data stays, and their accounts too.",
            button="Remove from group",
            is_dangerous=True,
            perform=lambda data: remove_members(group=data["group"], users=people, actor=Actor.of_request(request)),
            subjects=people,
        )

    def suspend_view(self, request: HttpRequest) -> HttpResponse:
        """See `suspension`."""
        people = self._selected(request)
        return suspension.people_page(request, self, people, is_resumed=False) if people else self._nobody(request)

    def resume_view(self, request: HttpRequest) -> HttpResponse:
        """See `suspension`."""
        people = self._selected(request)
        return suspension.people_page(request, self, people, is_resumed=True) if people else self._nobody(request)

    def remove_everywhere_view(self, request: HttpRequest) -> HttpResponse:
        """Say what goes for each, and ask whether the accounts are deactivated or deleted; then take everything, or nothing."""
        people = self._selected(request)
        return removal_page(request, self, people) if people else self._nobody(request)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            answer: HttpResponse = super().changeform_view(request, *args, **kwargs)
        except Refused as error:
            # All of the form is undone with it.
            self.message_user(request, str(error), messages.ERROR)
            return redirect(request.path)
        return answer

    def _go(self, request: HttpRequest, people: QuerySet[User], view: str) -> HttpResponse | None:
        chosen = list(people.values_list("pk", flat=True)[: MAX_SELECTED + 1])
        if len(chosen) > MAX_SELECTED:
            self.message_user(request, f"At most {MAX_SELECTED} people can be chosen at once. Nothing was changed.", messages.ERROR)
            return None
        return redirect(f"{reverse(view)}?{urlencode({'id': chosen}, doseq=True)}")

    def _nobody(self, request: HttpRequest) -> HttpResponse:
        self.message_user(request, "Nobody was selected. Select people first. Nothing was changed.", messages.WARNING)
        return redirect("admin:accounts_user_changelist")

    def _selected(self, request: HttpRequest) -> list[User]:
        return list(self.get_queryset(request).filter(pk__in=_ids(request)).order_by("email"))


def _ids(request: HttpRequest) -> list[int]:
    return [found for text in request.GET.getlist("id")[:MAX_SELECTED] if (found := read_number(text)) is not None]


def _cell(column: str, person: User) -> SafeString:
    return SafeString(render_to_string("admin/cohort/person_cell.html", {"column": column, "person": person}))


def _proposed_group(people: list[User]) -> dict[str, Any]:
    """What the people asked for, if they all asked for the same: an existing group, or a name for a new one."""
    wanted = {person.requested_group.strip() for person in people}
    if len(wanted) != 1 or not (name := wanted.pop()):
        return {}
    group = Group.objects.filter(slug=name).first() or Group.objects.filter(folded_name=fold_name(name)).first()
    return {"group": group.slug} if group else {"new_name": name}
