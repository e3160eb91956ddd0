"""Checks assertions of the gateway. Needs PyJWT 2.4 or later and cryptography (Debian: python3-jwt python3-cryptography)."""

import base64
import hashlib
import hmac
import json
import re
import threading
import time
import urllib.request

import jwt

TYPE = "dsmapper+jwt"
# Never from the token, and nothing symmetric.
ALGORITHMS = ["EdDSA", "ES256"]
REQUIRED = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "name", "cnf"]


class KeySet:
    """The gateway's public keys, kept for five minutes (less than `overlap`); an unknown kid makes it fetch again, once a second at most."""

    def __init__(self, url, keep=300, cooldown=1):
        self.url, self.keep, self.cooldown = url, keep, cooldown
        self.keys, self.fetched, self.tried = {}, None, None
        self.lock = threading.Lock()

    def key(self, kid):
        with self.lock:
            now = time.monotonic()
            old = self.fetched is None or now - self.fetched > self.keep
            may = self.tried is None or now - self.tried > self.cooldown
            if (old or kid not in self.keys) and may:
                self.tried = now
                self.fetch()
                self.fetched = now
            elif old:
                raise jwt.InvalidTokenError("the key set is too old, and was asked for a moment ago")
            if kid not in self.keys:
                raise jwt.InvalidTokenError("no key has this kid")
            return self.keys[kid]

    def fetch(self):
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            document = json.loads(answer.read(1 << 20))
        self.keys = {key["kid"]: key for key in document["keys"] if key.get("alg") in ALGORITHMS}


def verify(token, keys, issuer, audience, client_cert=None):
    """The claims of a token. Raises jwt.InvalidTokenError, or OSError where the key set cannot be had.

    client_cert: the header Client-Cert, where the location also has the dialect rfc9440.
    """
    header = jwt.get_unverified_header(token)
    if header.get("typ") != TYPE:
        raise jwt.InvalidTokenError("another kind of token")
    if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str):
        raise jwt.InvalidTokenError("alg or kid is not one of the gateway's")
    if "crit" in header:
        raise jwt.InvalidTokenError("critical extensions are not understood")
    key = keys.key(header["kid"])
    # The algorithm is the key's.
    claims = jwt.decode(
        token,
        jwt.PyJWK.from_dict(key).key,
        algorithms=[key["alg"]],
        issuer=issuer,
        audience=audience,
        leeway=5,
        options={"require": REQUIRED},
    )
    if client_cert is not None:
        check_certificate(claims, client_cert)
    return claims


def check_certificate(claims, client_cert):
    """RFC 8705 section 3.1: the certificate must be the one that the assertion is about."""
    found = re.fullmatch(r":([A-Za-z0-9+/]+=*):", client_cert)
    if found is None:
        raise jwt.InvalidTokenError("Client-Cert is not a byte sequence (RFC 9440)")
    try:
        certificate = base64.b64decode(found[1], validate=True)
    except ValueError as error:
        raise jwt.InvalidTokenError("Client-Cert is not a byte sequence (RFC 9440)") from error
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()
    if not hmac.compare_digest(str(claims["cnf"].get("x5t#S256")), thumbprint):
        raise jwt.InvalidTokenError("the assertion is about another certificate")
