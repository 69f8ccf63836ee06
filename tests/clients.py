"""boto3's clients for a service that only the caller knows: boto3's own types have a signature for each service's name."""

from collections.abc import Callable
from typing import Any

import boto3

make_client: Callable[..., Any] = boto3.client
