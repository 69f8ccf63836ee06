"""What is read from the code itself, wherever it lies: actions of the audit trail, settings, tasks, and tables."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from django.apps import apps
from django_tasks.base import Task
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from tests.record import product
from tests.record.documents import Record
from tests.record.running import model
from tests.record.shapes import shape, union
from tests.record.stories import compact

# Actions of the audit trail, each with its channels and the shape of its details.
Written = dict[str, dict[str, Any]]
RECORDS = "record"
# Two words with a point between; what ends as a file does is one.
ACTION = re.compile(r"[a-z]+\.(?!(csv|html|json|py|txt)$)[a-z_]+")
STEPS = "STEPS"


def actions(written: Written) -> Record:
    """Every action that the code names; and of those that the stories wrote, by which channels and with which details."""
    text = "\n".join(["# Named in the code", *named_actions(), "", "# Written by the stories of the record", ""])
    blocks = (f"{action}\n{compact(details)}" for action, details in sorted(written.items()))
    return {"actions.txt": text + "\n".join(blocks) + "\n"}


def named_actions() -> list[str]:
    """The actions that `record` is called with, and every other word of the code that begins as one of them does.

    An action that comes to `record` by a variable is a word somewhere: it is found by its beginning.
    """
    paths = (path for name in product.PACKAGES for path in sorted((product.ROOT / name).rglob("*.py")))
    # Migrations name models, which look like actions.
    trees = [ast.parse(path.read_text()) for path in paths if path.parent.name != "migrations"]
    constants = {name: value for tree in trees for name, value in _constants(tree)}
    direct = {action for tree in trees for call in _calls(tree) for action in _words(call.args[1])}
    direct |= {constants[name] for tree in trees for call in _calls(tree) for name in _names(call.args[1]) if name in constants}
    beginnings = {action.partition(".")[0] for action in direct}
    words = {word for tree in trees for word in _words(tree) if word.partition(".")[0] in beginnings}
    return sorted(direct | words)


def written_actions() -> Written:
    """What the audit trail holds: of each action the channels, and the shape of its details."""
    found: Written = {}
    for row in model("audit.AuditEvent").objects.order_by("pk"):
        found = joined(found, {row.action: {"channels": [row.channel], "details": shape(row.details)}})
    return found


def joined(one: Written, other: Written) -> Written:
    """Both together."""
    found = dict(one)
    for action, its in other.items():
        before = found.get(action, its)
        channels = sorted({*before["channels"], *its["channels"]})
        found[action] = {"channels": channels, "details": union(before["details"], its["details"])}
    return found


def settings() -> Record:
    """Every setting of the environment, then every one of `site.toml`."""
    [config] = [subclass for subclass in BaseSettings.__subclasses__() if subclass.__module__.split(".")[0] in product.PACKAGES]
    site = product.site_settings()
    told = ["# The environment", *_fields(config), "# site.toml", *_fields(site)]
    parts = {field.annotation for field in site.model_fields.values() if _is_model(field.annotation)}
    for part in sorted(parts, key=lambda one: one.__name__):
        told += [f"# site.toml, {part.__name__.lower()}", *_fields(part)]
    return {"settings.txt": "\n\n".join(told) + "\n"}


def tasks() -> Record:
    """Every task by its path, which lies in the queue, with its queue and arguments; and the periodic steps in their order."""
    lines = [
        f"{path}{inspect.signature(task.func)}  queue {task.queue_name}, priority {task.priority}"
        for path, task in sorted(all_tasks().items())
    ]
    steps = [f"{number:02d}. {name}" for number, name in enumerate(_periodic_steps(list(_modules())), 1)]
    return {"tasks.txt": "\n".join(["# Tasks", *lines, "", "# Periodic steps, in their order", *steps]) + "\n"}


def all_tasks() -> dict[str, Task[..., Any]]:
    """Return every task of ours by its path."""
    return {each.module_path: each for module in _modules() for each in vars(module).values() if isinstance(each, Task)}


def schema() -> Record:
    """Every model of ours by its label, with its table and its columns."""
    ours = (model for model in apps.get_models() if model.__module__.split(".")[0] in product.PACKAGES)
    blocks = []
    for each in sorted(ours, key=lambda one: one._meta.label):
        columns = [
            f"    {field.column}: {field.get_internal_type()}{' null' if field.null else ''}" for field in each._meta.local_fields
        ]
        blocks.append("\n".join([f"{each._meta.label}  table {each._meta.db_table}", *sorted(columns)]))
    return {"schema.txt": "\n\n".join(blocks) + "\n"}


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", "")) == RECORDS
            and len(node.args) > 1
        ):
            yield node


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The module's own constants that may be an action."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield from ((node.targets[0].id, word) for word in _words(node.value))


def _names(tree: ast.AST) -> Iterator[str]:
    yield from (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _words(tree: ast.AST) -> list[str]:
    values = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [value for value in values if isinstance(value, str) and ACTION.fullmatch(value)]


def _fields(kind: type[BaseModel]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        if not _is_model(field.annotation):
            yield "\n".join(_lines_of(name, field))


def _lines_of(name: str, field: FieldInfo) -> Iterator[str]:
    alias = field.validation_alias
    yield ", ".join(map(str, getattr(alias, "choices", [name])))
    kind = (
        field.annotation.__name__
        if isinstance(field.annotation, type) and not getattr(field.annotation, "__args__", ())
        else str(field.annotation)
    )
    yield f"    type: {kind.replace('typing.', '')}"
    if limits := sorted(str(item) for item in field.metadata if not isinstance(item, type) and type(item).__name__ != "NoDecode"):
        yield f"    limits: {', '.join(limits)}"
    yield f"    default: {'required' if field.is_required() else str(field.default).replace(str(product.ROOT), '<checkout>')}"
    yield f"    {field.description}"


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _modules() -> Iterator[ModuleType]:
    """Every module of the product."""
    for name in product.PACKAGES:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            yield importlib.import_module(found.name)


def _periodic_steps(modules: list[ModuleType]) -> list[str]:
    """The longest list of functions without arguments that is called STEPS: the sweep's."""
    lists = [vars(module)[STEPS] for module in modules if isinstance(vars(module).get(STEPS), tuple)]
    named = [[step.__name__ for step in each if not inspect.signature(step).parameters] for each in lists]
    return max(named, key=len)
