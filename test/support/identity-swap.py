"""A TLS 1.2 client that renegotiates by its own will, with another certificate than it began with.

    identity-swap.py PORT FIRST.pem SECOND.pem PATH

Asks for PATH as the first, swaps, asks for /after-swap as the second. Prints the last line of each answer, or `cut`.
Each PEM holds certificate and key. Exits 77 where libssl is not to be had. Uses OpenSSL directly, because no
client library offers what an attacker writes in an afternoon.
"""
import ctypes
import ctypes.util
import socket
import sys

name = ctypes.util.find_library("ssl")
if name is None:
    sys.exit(77)
ssl = ctypes.CDLL(name)
for function in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
    getattr(ssl, function).restype = ctypes.c_void_p

port, first, second, path = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
MAX_PROTO_VERSION, TLS1_2, PEM = 124, 0x0303, 1

context = ctypes.c_void_p(ssl.SSL_CTX_new(ctypes.c_void_p(ssl.TLS_client_method())))
ssl.SSL_CTX_ctrl(context, MAX_PROTO_VERSION, ctypes.c_long(TLS1_2), None)
connection = ctypes.c_void_p(ssl.SSL_new(context))
tcp = socket.create_connection(("127.0.0.1", port))
ssl.SSL_set_fd(connection, tcp.fileno())


def become(pem):
    assert ssl.SSL_use_certificate_file(connection, pem.encode(), PEM) == 1
    assert ssl.SSL_use_PrivateKey_file(connection, pem.encode(), PEM) == 1


def ask(wanted):
    request = f"GET {wanted} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode()
    if ssl.SSL_write(connection, request, len(request)) <= 0:
        return "cut"
    answer, buffer = b"", ctypes.create_string_buffer(65536)
    while True:
        count = ssl.SSL_read(connection, buffer, len(buffer))
        if count <= 0:
            return "cut"
        answer += buffer.raw[:count]
        head, separator, body = answer.partition(b"\r\n\r\n")
        length = next((int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")), 0)
        if separator and len(body) >= length:
            return body.decode("latin1").splitlines()[-1]


become(first)
assert ssl.SSL_connect(connection) == 1
print(ask(path), flush=True)
become(second)
ssl.SSL_renegotiate(connection)
ssl.SSL_do_handshake(connection)
print(ask("/after-swap"), flush=True)
