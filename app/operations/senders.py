"""How a note reaches people: a JSON POST to a webhook, an e-mail through a mail host."""

from __future__ import annotations

import email.message
import email.utils
import functools
import ipaddress
import json
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from app.operations.deliveries import Note, Sender
from app.operations.redaction import Redactor
from barlake.settings import Settings

__all__ = ["senders_of"]

_TIMEOUT_S = 10.0
_OK = range(200, 300)
_PORTS = {"smtp": 25, "smtps": 465}
_SUBMISSION = 587


def senders_of(settings: Settings) -> Mapping[str, Sender]:
    """A sender for each channel that the settings name."""
    redactor = Redactor.of(settings)
    found: dict[str, Sender] = {}
    if settings.alert_webhook is not None:
        found["webhook"] = functools.partial(_post, settings.alert_webhook.get_secret_value(), redactor)
    if settings.alert_email_to and settings.smtp_url is not None:
        found["email"] = functools.partial(
            _mail, settings.smtp_url.get_secret_value(), settings.alert_email_from, settings.alert_email_to, redactor
        )
    return found


def _post(url: str, redactor: Redactor, note: Note) -> str | None:
    import requests  # noqa: PLC0415 - most processes send nothing

    try:
        answer = requests.post(
            url, json=dict(note), timeout=_TIMEOUT_S, headers={"User-Agent": "barlake"}, allow_redirects=False
        )
    except requests.RequestException as error:
        return redactor.text(f"{type(error).__name__}: {error}")[:300]
    return None if answer.status_code in _OK else f"the webhook answered HTTP {answer.status_code}"


def _mail(url: str, sender: str, to: str, redactor: Redactor, note: Note) -> str | None:
    import smtplib  # noqa: PLC0415 - the same

    message = email.message.EmailMessage()
    message["Subject"] = " ".join(str(note["text"]).split())[:200]
    message["From"], message["To"] = sender, to
    # A mail host that has it already knows the second one by its name.
    message["Message-ID"] = f"<alert-{note['id']}-{note['fired_at'].replace(':', '')}@barlake>"
    message["Date"] = email.utils.localtime()
    message.set_content(_body(note))
    try:
        _hand_over(url, message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return redactor.text(f"{type(error).__name__}: {error}")[:300]
    return None


def _body(note: Note) -> str:
    lines = [str(note["message"]), "", f"alert: {note['key']}", f"level: {note['level']}", f"since: {note['fired_at']}"]
    if note["cleared_at"]:
        lines.append(f"until: {note['cleared_at']}")
    if note["details"]:
        lines += ["", json.dumps(note["details"], indent=2)]
    return "\n".join(lines) + "\n"


def _hand_over(url: str, message: email.message.EmailMessage) -> None:
    import smtplib  # noqa: PLC0415 - the same
    import ssl  # noqa: PLC0415 - the same

    address = urlsplit(url)
    if address.scheme not in _PORTS or not address.hostname:
        raise ValueError("BARLAKE_SMTP_URL is no address of a mail host: give smtp://user:password@host:587")
    port = address.port or (_SUBMISSION if address.username and address.scheme == "smtp" else _PORTS[address.scheme])
    safe = ssl.create_default_context()
    if address.scheme == "smtps":
        host: smtplib.SMTP = smtplib.SMTP_SSL(address.hostname, port, timeout=_TIMEOUT_S, context=safe)
    else:
        host = smtplib.SMTP(address.hostname, port, timeout=_TIMEOUT_S)
    with host:
        is_secret = address.scheme == "smtps"
        host.ehlo()
        if not is_secret and host.has_extn("starttls"):
            host.starttls(context=safe)
            is_secret = True
        if address.username:
            if not (is_secret or _is_this_machine(address.hostname)):
                raise ValueError("the mail host offers no encryption, and no password is sent without: use smtps://")
            host.login(unquote(address.username), unquote(address.password or ""))
        host.send_message(message)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
