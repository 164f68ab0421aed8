"""What the API answers, by the app itself without a server: of the version whose code Python finds first.

python -P tests/support/api_answers.py MONGO_URI LAKE KAFKA < REQUESTS > ANSWERS. REQUESTS is a JSON list of addresses,
and of [address, body] for a POST; ANSWERS maps each address to its JSON. Only names that 0.1.0 has are used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from serving.app import create_app
from serving.config import Config
from serving.services import connect

Request = str | tuple[str, Any]


def answers(mongo_uri: str, lake: str, kafka: str, requests: Iterable[Request]) -> dict[str, Any]:
    """Raises AssertionError that names the address and the answer where one is no success."""
    config = Config(mongo_uri, kafka, lake)
    services = connect(config)
    found = {}
    try:
        client = create_app(config, services).test_client()
        for request in requests:
            address, body = (request, None) if isinstance(request, str) else request
            answer = client.get(address) if body is None else client.post(address, json=body)
            assert answer.status_code < 300, f"{address}: {answer.get_data(as_text=True)}"
            found[address] = answer.get_json()
    finally:
        services.close()
    return found


if __name__ == "__main__":
    mongo_uri, lake, kafka = sys.argv[1:]
    json.dump(answers(mongo_uri, lake, kafka, json.load(sys.stdin)), sys.stdout)
