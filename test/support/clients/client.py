"""Python's http.client and requests, and libcurl with GnuTLS through pycurl: jobs a line in, answers a line out (see client-programs.ts)."""
import base64
import http.client
import io
import ssl
import sys
from urllib.parse import urlsplit


def context(job):
    made = ssl.create_default_context(cafile=job["root"])
    limit(made, job)
    if job["chain"] != "-":
        made.load_cert_chain(job["chain"], job["key"])
    return made


def limit(context, job):
    versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    if job["version"] != "-":
        context.minimum_version = context.maximum_version = versions[job["version"]]


def answer(status, headers, body):
    name = lambda key: headers.get(key) or "-"
    return " ".join([str(status), name("x-request-id"), name("x-dsmapper-verdict"), base64.b64encode(body).decode() or "-"])


def with_http_client(job, body):
    address = urlsplit(job["url"])
    connection = http.client.HTTPSConnection(address.hostname, address.port, context=context(job), timeout=30)
    for method, path in job["requests"]:
        connection.request(method, path, body=body if method == "POST" else None)
        response = connection.getresponse()
        yield answer(response.status, response.headers, response.read())
    connection.close()


def with_requests(job, body):
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.ssl_ import create_urllib3_context

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args, **named):
            own = create_urllib3_context()
            limit(own, job)
            super().init_poolmanager(*args, ssl_context=own, **named)

    with requests.Session() as session:
        session.trust_env = False
        session.verify = job["root"]
        if job["chain"] != "-":
            session.cert = (job["chain"], job["key"])
        if job["version"] != "-":
            session.mount("https://", Adapter())
        for method, path in job["requests"]:
            response = session.request(method, job["url"] + path, data=body if method == "POST" else None, timeout=30)
            yield answer(response.status_code, response.headers, response.content)


def with_pycurl(job, body):
    import pycurl

    if "GnuTLS" not in pycurl.version:
        raise RuntimeError("pycurl is not built with GnuTLS: " + pycurl.version)
    handle = pycurl.Curl()
    versions = {
        "-": pycurl.SSLVERSION_DEFAULT,
        "1.2": pycurl.SSLVERSION_TLSv1_2 | (pycurl.SSLVERSION_MAX_TLSv1_2),
        "1.3": pycurl.SSLVERSION_TLSv1_3,
    }
    for method, path in job["requests"]:
        taken, headers = io.BytesIO(), {}

        def header(line):
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                headers[name.lower()] = value.strip()

        handle.setopt(pycurl.URL, job["url"] + path)
        handle.setopt(pycurl.PROXY, "")
        handle.setopt(pycurl.TIMEOUT, 30)
        handle.setopt(pycurl.CAINFO, job["root"])
        handle.setopt(pycurl.SSLVERSION, versions[job["version"]])
        if job["chain"] != "-":
            handle.setopt(pycurl.SSLCERT, job["chain"])
            handle.setopt(pycurl.SSLKEY, job["key"])
        if method == "POST":
            handle.setopt(pycurl.POST, 1)
            handle.setopt(pycurl.POSTFIELDS, body)
        else:
            handle.setopt(pycurl.HTTPGET, 1)
        handle.setopt(pycurl.WRITEDATA, taken)
        handle.setopt(pycurl.HEADERFUNCTION, header)
        handle.perform()
        yield answer(handle.getinfo(pycurl.RESPONSE_CODE), headers, taken.getvalue())
    handle.close()


ways = {"http.client": with_http_client, "requests": with_requests, "pycurl": with_pycurl}
keys = ["flavour", "url", "root", "chain", "key", "p12", "version", "body", "requests"]
for line in sys.stdin:
    job = dict(zip(keys, line.rstrip("\n").split("\t")))
    job["requests"] = [one.split(" ") for one in job["requests"].split(",")]
    try:
        with open(job["body"], "rb") as file:
            print("ok", *ways[job["flavour"]](job, file.read()), sep="\t", flush=True)
    except Exception as error:
        print("error", base64.b64encode(f"{type(error).__name__}: {error}".encode()).decode(), sep="\t", flush=True)
