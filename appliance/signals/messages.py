"""A message when the box needs attention, and when it no longer does: by e-mail, to a webhook, or both.

It holds the state and the box's name, nothing else: no number, no reason, nothing of a picture. The only part of the box that calls out,
in a process of its own that sees none of its folders (anonbox-message.service).
"""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

from appliance.status.snapshot import STATES

TIMEOUT_S = 20.0
CREDENTIALS = ("secret", "secret-plain")
"""What systemd may hand over (LoadCredentialEncrypted=, LoadCredential=); empty when there is none."""


@dataclass(frozen=True)
class Route:
    """Where messages go. webhook : URL; server : host:port of the mail server, STARTTLS, 465: TLS from the start; empty: not that way"""

    name: str
    webhook: str = ""
    server: str = ""
    sender: str = ""
    recipient: str = ""


def read_secrets(folder: Path | None) -> dict[str, str]:
    """username= and password= for the mail server, token= and url= for the webhook, a line each. folder : systemd's, None without one"""
    found: dict[str, str] = {}
    for name in CREDENTIALS if folder else ():
        path = Path(folder or "") / name
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        for line in lines:
            key, is_pair, value = line.strip().partition("=")
            if is_pair:
                found[key] = value
    return found


def send(state: str, route: Route, secrets: Mapping[str, str]) -> list[str]:
    """Send it every way there is; what failed, a sentence each, without address or secret. state : one of STATES"""
    if state not in STATES:
        raise ValueError("not a state of a box")
    failures = []
    for way, call, wanted in (
        ("webhook", _post, route.webhook or secrets.get("url")),
        ("e-mail", _mail, route.server and route.recipient),
    ):
        if wanted:
            try:
                call(state, route, secrets)
            except (OSError, smtplib.SMTPException, ValueError) as error:
                failures.append(f"{way} failed: {type(error).__name__}")
    return failures


def _post(state: str, route: Route, secrets: Mapping[str, str]) -> None:
    url = secrets.get("url") or route.webhook
    if not url.startswith(("https://", "http://")):
        raise ValueError("not a web address")
    text = f"{route.name}: {state}"
    body = json.dumps({"box": route.name, "state": state, "text": text}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "AnonBox"}
    if token := secrets.get("token"):
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 checked above
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        answer.read(1024)


def _mail(state: str, route: Route, secrets: Mapping[str, str]) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = f"AnonBox {route.name}: {state}", route.sender or route.recipient, route.recipient
    mail["Date"] = formatdate()
    mail.set_content(f"The box {route.name} says: {state}. Its status page says more.\n")
    host, _, port = route.server.rpartition(":") if ":" in route.server else (route.server, "", "587")
    safe = ssl.create_default_context()
    with _server(host, int(port), safe) as server:
        if port not in ("465", "25"):
            server.starttls(context=safe)
        if "password" in secrets:
            if port == "25":
                raise ValueError("a password is not sent unprotected")
            server.login(secrets.get("username", mail["From"]), secrets["password"])
        server.send_message(mail)


def _server(host: str, port: int, safe: ssl.SSLContext) -> smtplib.SMTP:
    if port == 465:
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=safe)
    return smtplib.SMTP(host, port, timeout=TIMEOUT_S)
