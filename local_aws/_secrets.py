"""AWS::SecretsManager::Secret as on AWS: Secrets Manager itself generates the secret part, and a taken name is refused."""

import json
from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

from local_aws._iam_answers import WAITS

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

# Of GenerateSecretString, where the generated part goes; the rest are GetRandomPassword's own settings.
PLACEMENT = ("SecretStringTemplate", "GenerateStringKey")


def register() -> None:
    """Correct ministack's type: it draws punctuation that a template excludes, and overwrites a secret that a stack left behind."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    create = handler["create"]

    def create_secret(logical_id: str, properties: Properties, stack_name: str) -> Created:
        if (taken := properties.get("Name")) in secretsmanager._secrets:
            if secretsmanager._secrets[taken].get("DeletedDate"):
                raise ValueError(f"{WAITS} (InvalidRequestException)")
            raise ValueError(f"The operation failed because the secret {taken} already exists. (ResourceExistsException)")
        created: Created = create(logical_id, properties, stack_name)
        return created

    handler["create"] = create_secret
    provisioners._sm_secret_string = secret_string


def secret_string(properties: Properties) -> str:
    """Return the value that a template declares: literal, or drawn at random, alone or in a JSON object."""
    wanted = properties.get("GenerateSecretString")
    if properties.get("SecretString") or wanted is None:
        return str(properties.get("SecretString", ""))
    generated = _generate({name: value for name, value in wanted.items() if name not in PLACEMENT})
    template, key = (wanted.get(name) for name in PLACEMENT)
    if template is None and key is None:
        return generated
    if template is None or key is None:
        raise ValueError("SecretStringTemplate and GenerateStringKey go together. (InvalidRequest)")
    return json.dumps({**json.loads(template), key: generated})


def _generate(settings: Properties) -> str:
    status, _, body = secretsmanager._get_random_password(settings)
    answer = json.loads(body)
    if status >= 400:
        raise ValueError(f"{answer.get('message', answer)} (InvalidRequest)")
    return str(answer["RandomPassword"])
