"""Where browsers find a bucket: under its own name, and under the others that S3 answers to.

A browser opens six connections to a host, so that more names let more requests go side by side.
"""

from urllib.parse import urlsplit

from stacks import names

# Of the machine itself: browsers find every name that ends so there, without asking anybody (RFC 6761, 6.3).
LOCAL_HOST = "localhost"


def bucket_address(bucket: str, region: str, endpoint: str) -> str:
    """Return the URL of a bucket: by a host of its own on AWS, by a path where S3 is found at `endpoint`."""
    if endpoint:
        return f"{endpoint.rstrip('/')}/{bucket}"
    return f"https://{bucket}.s3.{region}.{names.dns_suffix(region)}"


def other_addresses(bucket: str, region: str, endpoint: str) -> list[str]:
    """Return the other URLs of a bucket: by its path or its host, and each by IPv6 too ("Dual-stack endpoints", S3 user guide).

    None for an endpoint elsewhere: whoever set one wants requests to go there. That of the machine itself answers to all.
    """
    if not endpoint:
        host = f"{region}.{names.dns_suffix(region)}"
        return [f"https://s3.{host}/{bucket}", f"https://{bucket}.s3.dualstack.{host}", f"https://s3.dualstack.{host}/{bucket}"]
    parts = urlsplit(endpoint)
    if parts.scheme != "http" or parts.hostname != LOCAL_HOST or parts.path.strip("/"):
        return []
    return [f"http://s3.{parts.netloc}/{bucket}", f"http://{bucket}.s3.{parts.netloc}"]
