"""Who may do what: a token in `Authorization: Bearer …` has a role, viewer or operator.

Without any token in the settings everybody who reaches the server is an operator: that is a laptop, bound to loopback.
"""

from __future__ import annotations

import hashlib
import hmac

from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from serving.config import Config, Role

LOCAL = "local"
"""Who acts where no tokens are set."""


def require(config: Config, role: Role) -> str:
    """A short name of the request's token, which does not tell it.

    Raises Unauthorized without a known token, Forbidden when its role is less than `role`.
    """
    if not config.tokens:
        return LOCAL
    given = request.authorization.token if request.authorization else None
    found = next(
        (token for token in config.tokens if given and hmac.compare_digest(token.encode(), given.encode())), None
    )
    if found is None:
        raise Unauthorized("a token is needed: Authorization: Bearer …", www_authenticate=WWWAuthenticate("bearer"))
    if role == "operator" and config.tokens[found] != "operator":
        raise Forbidden("this needs a token of the role operator")
    return fingerprint(found)


def fingerprint(token: str) -> str:
    """Eight digits that tell tokens apart in the audit list."""
    return hashlib.blake2b(token.encode(), digest_size=4).hexdigest()
