"""AWS::S3::Bucket with the properties that ministack leaves out: encryption, object lock, ownership, lifecycle and tags."""

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ministack.services import s3
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]
Answer = tuple[int, Any, Any]

# What a template calls a rule's period, and where S3's own document has it.
PERIODS = {
    "ExpirationInDays": ("Expiration", "Days"),
    "ExpiredObjectDeleteMarker": ("Expiration", "ExpiredObjectDeleteMarker"),
    "NoncurrentVersionExpirationInDays": ("NoncurrentVersionExpiration", "NoncurrentDays"),
}
# What both call the same.
SAME = ("Status", "AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration")


def register() -> None:
    """Have ministack's handler apply these properties."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def create_bucket(logical_id: str, properties: Properties, stack_name: str) -> Created:
        name, attributes = create(logical_id, properties, stack_name)
        try:
            _apply(name, {}, properties)
        except ValueError:
            # CloudFormation removes only what it was told the name of.
            delete_bucket(name, properties)
            raise
        return name, attributes

    def update_bucket(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
        name, attributes = update(physical_id, old, new, stack_name)
        _apply(name, old if name == physical_id else {}, new)
        return name, attributes

    def delete_bucket(physical_id: str, properties: Properties) -> None:
        delete(physical_id, properties)
        s3._bucket_object_lock.pop(physical_id, None)

    handler |= {"create": create_bucket, "update": update_bucket, "delete": delete_bucket}


def _apply(bucket: str, old: Properties, new: Properties) -> None:
    for name, document, put, delete in CONFIGURATIONS:
        if new.get(name) and not (name == "BucketEncryption" and _is_by_aws_own_key(new[name])):
            _done(put(bucket, document(new[name])))
        elif old.get(name):
            _done(delete(bucket))
    _lock(bucket, new)


def _lock(bucket: str, properties: Properties) -> None:
    """Enable object lock, or change its default retention; disabling it is refused, as on AWS."""
    if not properties.get("ObjectLockEnabled"):
        if s3._bucket_object_lock.get(bucket):
            raise ValueError("Object Lock cannot be disabled once it is enabled on a bucket. (InvalidRequest)")
        return
    s3._bucket_versioning[bucket] = "Enabled"
    configuration = properties.get("ObjectLockConfiguration") or {"ObjectLockEnabled": "Enabled"}
    _done(s3._put_object_lock_configuration(bucket, _document("ObjectLockConfiguration", configuration)))


def _is_by_aws_own_key(properties: Properties) -> bool:
    """Return whether this is KMS without a key, which means AWS's own key for S3, as CDK's own bucket asks for.

    ministack has no such key, and would refuse every object.
    """
    defaults = [rule["ServerSideEncryptionByDefault"] for rule in properties["ServerSideEncryptionConfiguration"]]
    return any(default["SSEAlgorithm"] == "aws:kms" and not isinstance(default.get("KMSMasterKeyID"), str) for default in defaults)


def _encryption(properties: Properties) -> bytes:
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": {
                name: rule["ServerSideEncryptionByDefault"][name]
                for name in ("SSEAlgorithm", "KMSMasterKeyID")
                if isinstance(rule["ServerSideEncryptionByDefault"].get(name), str)
            },
            "BucketKeyEnabled": rule.get("BucketKeyEnabled", False),
        }
        for rule in properties["ServerSideEncryptionConfiguration"]
    ]
    return _document("ServerSideEncryptionConfiguration", {"Rule": rules})


def _lifecycle(properties: Properties) -> bytes:
    return _document("LifecycleConfiguration", {"Rule": [_lifecycle_rule(rule) for rule in properties["Rules"]]})


def _lifecycle_rule(rule: Properties) -> Properties:
    known = {"Id", "Prefix", "TagFilters", "Transitions", *SAME, *PERIODS}
    if unknown := sorted(rule.keys() - known):
        raise ValueError(f"The embedded AWS does not know {', '.join(unknown)} of a bucket's lifecycle rule.")
    document: Properties = {"ID": rule.get("Id", ""), "Filter": _filter(rule)}
    document |= {name: rule[name] for name in SAME if name in rule}
    for name, (element, part) in PERIODS.items():
        if name in rule:
            document.setdefault(element, {})[part] = rule[name]
    transitions = rule.get("Transitions") or []
    document["Transition"] = [
        {"Days": transition["TransitionInDays"], "StorageClass": transition["StorageClass"]} for transition in transitions
    ]
    return document


def _filter(rule: Properties) -> Properties:
    """Return the rule's filter of objects; more than one condition stands under `And`."""
    tags = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in rule.get("TagFilters") or []]
    if not tags:
        return {"Prefix": rule.get("Prefix", "")}
    if len(tags) == 1 and "Prefix" not in rule:
        return {"Tag": tags[0]}
    return {"And": ({"Prefix": rule["Prefix"]} if "Prefix" in rule else {}) | {"Tag": tags}}


def _ownership(properties: Properties) -> bytes:
    return _document("OwnershipControls", {"Rule": properties["Rules"]})


def _tags(tags: list[dict[str, str]]) -> bytes:
    return _document("Tagging", {"TagSet": {"Tag": tags}})


def _document(name: str, content: Properties) -> bytes:
    """Return the XML that S3's own request would carry."""
    root = Element(name, xmlns=s3.S3_NS)
    _fill(root, content)
    written: bytes = tostring(root, encoding="utf-8")
    return written


def _fill(parent: Element, content: Properties) -> None:
    for name, value in content.items():
        for item in value if isinstance(value, list) else [value]:
            child = SubElement(parent, name)
            if isinstance(item, dict):
                _fill(child, item)
            else:
                child.text = str(item).lower() if isinstance(item, bool) else str(item)


def _done(answer: Answer) -> None:
    status, _, body = answer
    if status >= 400:
        raise ValueError(f"S3 refused the bucket's configuration: {body!r}")


CONFIGURATIONS: tuple[tuple[str, Callable[[Any], bytes], Callable[[str, bytes], Answer], Callable[[str], Answer]], ...] = (
    ("BucketEncryption", _encryption, s3._put_bucket_encryption, s3._delete_bucket_encryption),
    ("LifecycleConfiguration", _lifecycle, s3._put_bucket_lifecycle, s3._delete_bucket_lifecycle),
    ("OwnershipControls", _ownership, s3._put_bucket_ownership_controls, s3._delete_bucket_ownership_controls),
    ("Tags", _tags, s3._put_bucket_tagging, s3._delete_bucket_tagging),
)
