"""A WSGI application behind the gateway, to try assertion.py: python3 server.py"""

import json
import os
import sys
from wsgiref.simple_server import make_server

import jwt

from assertion import KeySet, verify

KEYS = KeySet(os.environ["ASSERTION_JWKS"])
ISSUER = os.environ["ASSERTION_ISSUER"]
AUDIENCE = os.environ["ASSERTION_AUDIENCE"]


def application(environ, start_response):
    try:
        claims = verify(
            environ.get("HTTP_X_DSMAPPER_ASSERTION", ""), KEYS, ISSUER, AUDIENCE, environ.get("HTTP_CLIENT_CERT")
        )
    except (jwt.InvalidTokenError, OSError) as error:
        print(f"refused: {error}", file=sys.stderr)
        start_response("401 Unauthorized", [])
        return []
    start_response("200 OK", [("content-type", "application/json")])
    return [json.dumps({"sub": claims["sub"], "name": claims["name"]}).encode()]


if __name__ == "__main__":
    server = make_server("127.0.0.1", int(os.environ.get("PORT", "8080")), application)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
