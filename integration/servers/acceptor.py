"""A web server whose sign-in is done by MIT's GSSAPI, for tests.

Arguments: address, port, and, for https, a certificate and its key; with nothing
more, http. Whoever posts to /right, /wrong or /none signs in by Kerberos or NTLM
with the channel binding of the certificate, of another one, or with none looked
at. A post to /seal signs in by Kerberos; each further one on the same connection
is sealed as WinRM's are (MS-WSMV, section 2.2.9.1): four bytes with the length of
the header, the header, the data. It is answered alike with "heard: " before it.
"""
import base64
import hashlib
import http.server
import ssl
import sys

import gssapi
from gssapi.raw import IOV, ChannelBindings, IOVBufferType, unwrap_iov, wrap_iov

NTLM = gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
PREFIX = b"tls-server-end-point:"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    context = None  # of the connection
    bindings = {}

    def log_message(self, *args):
        pass

    def reply(self, status, body, authenticate=()):
        self.send_response(status)
        for value in authenticate:
            self.send_header("WWW-Authenticate", value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, why):
        Handler.refused.append(why)
        self.context = None
        self.reply(401, why.encode(), ("Negotiate", "NTLM"))

    def do_GET(self):
        """Tells why sign-ins were refused, a line each, and forgets it."""
        lines = "\n".join(Handler.refused)
        Handler.refused.clear()
        self.reply(200, lines.encode())

    refused = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        if scheme in ("Negotiate", "NTLM"):
            self.sign_in(scheme, base64.b64decode(token), body)
        elif self.path == "/seal" and self.context is not None:
            self.sealed(body)
        else:
            self.reply(401, b"who is it?", ("Negotiate", "NTLM"))

    def sign_in(self, scheme, token, body):
        if self.context is None or self.context.complete:
            ntlm = token.startswith(b"NTLMSSP")
            credentials = gssapi.Credentials(usage="accept", mechs=[NTLM] if ntlm else None)
            self.context = gssapi.SecurityContext(creds=credentials, usage="accept", channel_bindings=self.bindings.get(self.path))
        try:
            token = self.context.step(token)
            complete = self.context.complete  # raises what step held back
        except gssapi.exceptions.GSSError as e:
            return self.refuse(f"{type(e).__name__}: {e}")
        answer = [scheme + " " + base64.b64encode(token).decode()] if token else []
        if not complete:
            return self.reply(401, b"go on", answer)
        user, flags = self.context.initiator_name, int(self.context.actual_flags)
        self.reply(200, f"{user} {flags:#x} {body.decode()}".encode(), answer)

    def sealed(self, body):
        length = int.from_bytes(body[:4], "little")
        message = IOV((IOVBufferType.header, False, body[4 : 4 + length]), body[4 + length :], std_layout=False)
        result = unwrap_iov(self.context, message)
        if not result.encrypted:
            return self.refuse("it was not sealed")
        heard = b"heard: " + message[1].value
        out = IOV(IOVBufferType.header, heard, std_layout=False)
        wrap_iov(self.context, out, confidential=True)
        self.reply(200, len(out[0].value).to_bytes(4, "little") + out[0].value + out[1].value)


address, port, *files = sys.argv[1:]
server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
if files:
    certificate, key = files
    with open(certificate, encoding="ascii") as f:
        der = ssl.PEM_cert_to_DER_cert(f.read())
    right = hashlib.sha256(der).digest()
    Handler.bindings = {
        "/right": ChannelBindings(application_data=PREFIX + right),
        "/wrong": ChannelBindings(application_data=PREFIX + bytes(32)),
    }
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
