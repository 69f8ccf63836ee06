"""Suspending people and groups in the administration, and lifting it."""

from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from control_plane.access.groups.models import Group
from control_plane.access.groups.services.suspension import resume_group, resume_members, suspend_group, suspend_members
from control_plane.accounts.models import User
from control_plane.administration.forms import RemoveFromGroupForm
from control_plane.administration.pages import service_page
from control_plane.base.audit.actors import Actor

WHAT_STAYS = "Keys, memberships and data stay."
LIFTED = "Keys work again, and new sessions are handed out, once AWS has lifted it."


def people_page(request: HttpRequest, model_admin: ModelAdmin[Any], people: list[User], *, is_resumed: bool) -> HttpResponse:
    """Ask in which group; then suspend or resume them all, or none."""
    form = RemoveFromGroupForm(request.POST or None, user_ids=[person.pk for person in people])
    change = resume_members if is_resumed else suspend_members
    title = "Resume in a group" if is_resumed else "Suspend in a group"
    return service_page(
        request,
        model_admin,
        form=form,
        hindrance="" if form.has_groups else "None of them is in a group: there is nothing to suspend or resume.",
        title=title,
        intent=LIFTED if is_resumed else f"Everything in the group is denied to them within seconds. {WHAT_STAYS}",
        button=title,
        is_dangerous=not is_resumed,
        perform=lambda data: change(group=data["group"], users=people, actor=Actor.of_request(request)),
        subjects=people,
    )


def group_page(request: HttpRequest, model_admin: ModelAdmin[Any], pk: int) -> HttpResponse:
    """Ask whether it is meant; then suspend the group, or resume one that is suspended."""
    group = get_object_or_404(Group, pk=pk)
    is_resumed = group.suspended_at is not None
    change = resume_group if is_resumed else suspend_group
    title = f"{'Resume' if is_resumed else 'Suspend'} {group.name}"
    return service_page(
        request,
        model_admin,
        form=forms.Form(request.POST or None),
        title=title,
        intent=LIFTED if is_resumed else f"Everything is denied to all its members within seconds. {WHAT_STAYS}",
        button="Resume the group" if is_resumed else "Suspend the group",
        is_dangerous=not is_resumed,
        perform=lambda _: change(group=group, actor=Actor.of_request(request)),
    )
