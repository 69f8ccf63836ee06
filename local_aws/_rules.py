"""Corrections of ministack towards AWS, installed in one order: each wraps what those before it left.

Importing this reads ministack's settings, so it comes after `_settings.apply`.
"""

from pathlib import Path
from typing import Any

from local_aws import (
    _bodies,
    _buckets,
    _changesets,
    _checksums,
    _cleanup,
    _conditional_writes,
    _delay,
    _drift,
    _early_validation,
    _host_resources,
    _iam_answers,
    _iam_delay,
    _imports,
    _key_use,
    _lifecycle,
    _limits,
    _machines,
    _missing_objects,
    _name_conflicts,
    _nested,
    _object_keys,
    _object_tags,
    _offerings,
    _pace,
    _parameter_rights,
    _persistence,
    _principals,
    _relative_keys,
    _resources,
    _revert_drift,
    _role_rights,
    _s3_answers,
    _secrets,
    _session_tokens,
    _settings,
    _simulate,
    _sorted_keys,
    _stack_lookup,
    _stack_roles,
    _transport,
    _unique_names,
)


def install(state: Path, pace: float) -> _pace.Pace:
    """Install every rule. Returns the pace of CloudFormation, which has to be ended."""
    # First of what wraps S3's operations: it changes the text of one.
    _bodies.install(state / _settings.BODIES_FOLDER)
    _sorted_keys.install()
    _resources.register()
    _buckets.register()
    _imports.register()
    _secrets.register()
    _host_resources.register()
    _machines.register()
    _unique_names.install()
    _iam_answers.install()
    _name_conflicts.register()
    _drift.register()
    _changesets.accept_output_changes()
    _early_validation.install()
    _checksums.install()
    _nested.install()
    _limits.install()
    _stack_lookup.install()
    _session_tokens.install()
    _simulate.install()
    _offerings.install()
    # What it wraps is in place by now; the pace asks how each resource is made, and comes after.
    _principals.use_full_arns()
    _key_use.install()
    _iam_delay.install(_iam_delay.Delay(state / _settings.IAM_DELAY_FILE))
    # When every type is there, and before the pace, which chooses where it is done.
    _role_rights.install()
    paces = _pace.Pace(pace, state / _settings.PACE_FILE)
    _pace.install(paces)
    _revert_drift.install()
    _lifecycle.install()
    _cleanup.install()
    _stack_roles.install()
    _parameter_rights.install()
    _transport.trust_loopback()
    _object_keys.install()
    _conditional_writes.install()
    _object_tags.install()
    _missing_objects.install(state / _settings.MISSING_FILE)
    _s3_answers.install()
    _relative_keys.install()
    _persistence.install()
    return paces


def wrap_app(app: Any, state: Path) -> Any:
    """Wrap the application in the rules for requests as a whole."""
    answering = _conditional_writes.record_request_starts(_delay.delayed(app, state / _settings.DELAY_FILE))
    return _iam_delay.per_request(answering)
