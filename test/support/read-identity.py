"""Reads identity headers with Python's own library and with cryptography: a JSON object of headers a line in, what they say out."""
import base64
import json
import re
import sys
import urllib.parse
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes

# Serial numbers may be negative here.
warnings.simplefilter("ignore")


def digest(certificate):
    return certificate.fingerprint(hashes.SHA256()).hex()


def from_der(text):
    return digest(x509.load_der_x509_certificate(base64.b64decode(text, validate=True)))


def from_pem(text):
    return digest(x509.load_pem_x509_certificate(urllib.parse.unquote(text, errors="strict").encode()))


for line in sys.stdin:
    h = json.loads(line)
    info = urllib.parse.unquote_plus(h["X-Forwarded-Tls-Client-Cert-Info"], errors="strict")
    principal = json.loads(base64.b64decode(h["X-MS-CLIENT-PRINCIPAL"], validate=True).decode())
    claims = {claim["typ"]: claim["val"] for claim in principal["claims"]}
    answer = {
        "certificates": [
            from_der(re.fullmatch(r":([A-Za-z0-9+/=]*):", h["Client-Cert"]).group(1)),
            from_der(h["X-ARR-ClientCert"]),
            from_der(h["X-Client-Cert"]),
            from_der(h["MS-ASPNETCORE-CLIENTCERT"]),
            from_der(h["X-Forwarded-Tls-Client-Cert"]),
            from_pem(h["X-SSL-Client-Cert"]),
            from_pem(re.search(r'Cert="([^"]*)"', h["X-Forwarded-Client-Cert"]).group(1)),
        ],
        "serial": re.search(r'SerialNumber="(-?\d+)"', info).group(1),
        "user": urllib.parse.unquote(h["X-Remote-User"], errors="strict"),
        "groups": [urllib.parse.unquote(one, errors="strict") for one in h["X-Remote-Groups"].split(",")],
        "name": claims[principal["name_typ"]],
    }
    print(json.dumps(answer), flush=True)
