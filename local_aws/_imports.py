"""Renaming of IAM users, and their import into stacks, as on AWS; ministack has neither."""

from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import changesets, provisioners

USER = "AWS::IAM::User"
Answer = tuple[int, Any, Any]


def register() -> None:
    """Add the action to IAM's table, and the type to those that can be imported."""
    iam._IAM_HANDLERS["UpdateUser"] = update_user
    changesets._IMPORT_LOOKUPS[USER] = (("UserName",), _problem)
    provisioners._RESOURCE_HANDLERS[USER]["import"] = _import_user


def update_user(parameters: dict[str, Any]) -> Answer:
    """Rename or move a user: its id, keys, groups and policies stay with it (IAM user guide, "Rename an IAM user")."""
    name = iam._p(parameters, "UserName")
    user = iam._users.get(name)
    if user is None:
        return _refused(404, "NoSuchEntity", f"The user with name {name} cannot be found.")
    renamed, path = iam._p(parameters, "NewUserName") or name, iam._p(parameters, "NewPath") or user["Path"]
    if renamed != name and renamed in iam._users:
        return _refused(409, "EntityAlreadyExists", f"User with name {renamed} already exists.")
    arn = user["Arn"].split(":user/")[0]
    user |= {"UserName": renamed, "Path": path, "Arn": f"{arn}:user{path}{renamed}"}
    if renamed != name:
        _rename(name, renamed)
    answer: Answer = iam._xml(200, "UpdateUserResponse", "", ns="iam")
    return answer


def _rename(name: str, renamed: str) -> None:
    for held_by_name in (iam._users, iam._user_inline_policies, iam._login_profiles):
        if name in held_by_name:
            held_by_name[renamed] = held_by_name.pop(name)
    for group in iam._groups.values():
        group["Users"] = [renamed if user == name else user for user in group["Users"]]
    for key in iam._access_keys.values():
        if key["UserName"] == name:
            key["UserName"] = renamed


def _refused(status: int, code: str, message: str) -> Answer:
    answer: Answer = iam._error(status, code, message, ns="iam")
    return answer


def _problem(name: str) -> str | None:
    """Return the reason why no user of this name can be imported, or None."""
    return None if name in iam._users else f"Resource of type '{USER}' with identifier '{name}' was not found."


def _import_user(identifier: dict[str, str]) -> tuple[str, dict[str, Any]]:
    name = identifier["UserName"]
    return name, {"Arn": iam._users[name]["Arn"]}
