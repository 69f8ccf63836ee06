"""What Django's administration shows: imported by its autodiscovery."""

from allauth.account.models import EmailAddress
from allauth.idp.oidc.models import Client, Token
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group as AuthGroup
from django_tasks_db.models import DBTaskResult

from control_plane.administration import analyses, audit, factors, groups, keys, people, rosters  # noqa: F401

# Django's own groups are permission sets; beside research groups they would only confuse.
admin.site.unregister(AuthGroup)
# Whoever could read or write these could sign in as somebody else: by a session's key, a token, a verified address or an account
# elsewhere. Nothing of that would be on record. An administrator's right is over people and groups, not over their data.
admin.site.unregister([EmailAddress, UserSession, SocialAccount, SocialToken, SocialApp, Client, Token])
# What waits to be done, with its arguments: the deployments' pages and Health say all that helps of it.
admin.site.unregister(DBTaskResult)
