"""Alerts: one episode, one note to each who is to be told, and a second one when it is over."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from sqlalchemy import update

from app.operations import Operations, open_operations
from app.operations.database import writing
from app.operations.tables import deliveries
from barlake.errors import InvalidInputError
from barlake.settings import Settings
from tests.app.operations.hooks import Hook, running_hook
from tests.servers import _free_port

PASSWORD = "open sesame/1"  # noqa: S105 - the mail host is the test's own


@pytest.fixture
def hook() -> Iterator[Hook]:
    with running_hook() as running:
        yield running


def opened(folder: Path, monkeypatch: pytest.MonkeyPatch, **names: str) -> Operations:
    monkeypatch.setenv("BARLAKE_ROOT", str(folder))
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    return open_operations(Settings(_env_file=None))


def all_are_due(operations: Operations) -> None:
    """As if the wait after a failed attempt were over."""
    with writing(operations.engine) as connection:
        connection.execute(update(deliveries).values(due_at=dt.datetime(2024, 1, 2, tzinfo=dt.UTC)))


def test_an_episode_begins_once_and_ends_once(operations: Operations, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert operations.alerts.fire("disk", level="warning", message="81 % full", details={"free": 19})
    assert not operations.alerts.fire("disk", level="warning", message="82 % full", details={"free": 18})
    (active,) = operations.alerts.active()
    assert (active.key, active.level, active.message, active.details) == ("disk", "warning", "82 % full", {"free": 18})
    assert operations.alerts.clear("disk")
    assert not operations.alerts.clear("disk")
    assert operations.alerts.active() == []
    assert operations.alerts.fire("disk", level="critical", message="96 % full")
    newest, first = operations.alerts.history()
    assert newest.cleared_at is None
    assert first.cleared_at is not None
    assert [record.message for record in caplog.records] == [
        "alert: 81 % full", "alert cleared: 82 % full", "alert: 96 % full",
    ]  # fmt: skip


def test_a_level_that_is_none_is_refused(operations: Operations) -> None:
    with pytest.raises(InvalidInputError, match="level 'loud' is none"):
        operations.alerts.fire("disk", level="loud", message="full")


def test_of_many_watchers_one_begins_the_episode(operations_settings: Settings) -> None:
    began: list[bool] = []
    ready = threading.Barrier(6)

    def watch() -> None:
        with open_operations(operations_settings) as own:
            ready.wait()
            began.append(own.alerts.fire("disk", level="error", message="full"))

    watchers = [threading.Thread(target=watch) for _ in range(6)]
    for one in watchers:
        one.start()
    for one in watchers:
        one.join()
    assert sorted(began) == [False] * 5 + [True]


def test_a_webhook_is_told_of_the_beginning_and_the_end(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, monkeypatch, BARLAKE_ALERT_WEBHOOK=hook.url) as operations:
        operations.alerts.fire("disk", level="warning", message="81 % full", details={"free": 19})
        assert operations.alerts.deliver() == 1
        assert operations.alerts.deliver() == 0
        operations.alerts.clear("disk")
        assert operations.alerts.deliver() == 1
    fired, cleared = hook.notes
    assert (fired["event"], fired["level"], fired["message"], fired["details"]) == (
        "fired", "warning", "81 % full", {"free": 19},
    )  # fmt: skip
    assert (cleared["event"], cleared["key"], cleared["text"]) == ("cleared", "disk", "barlake cleared: 81 % full")
    assert fired["id"] != cleared["id"]


def test_a_webhook_that_was_down_is_told_later_and_in_order(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status = 503
    with opened(tmp_path, monkeypatch, BARLAKE_ALERT_WEBHOOK=hook.url) as operations:
        operations.alerts.fire("disk", level="warning", message="81 % full")
        assert operations.alerts.deliver() == 0
        operations.alerts.clear("disk")
        assert operations.alerts.deliver() == 0  # its time has not come
        hook.status = 200
        all_are_due(operations)
        assert operations.alerts.deliver() == 2
    assert [note["event"] for note in hook.notes] == ["fired", "cleared"]
    assert "an alert did not arrive by webhook: the webhook answered HTTP 503" in caplog.text


def test_an_address_nobody_listens_at_fails_no_work_and_stays_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address = "http://127.0.0.1:9/services/T0/secret-path"
    with opened(tmp_path, monkeypatch, BARLAKE_ALERT_WEBHOOK=address) as operations:
        operations.alerts.fire("disk", level="warning", message="81 % full")
        assert operations.alerts.deliver() == 0
    assert "an alert did not arrive" in caplog.text
    assert "secret-path" not in caplog.text


def test_several_watchers_send_a_note_once(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path, monkeypatch, BARLAKE_ALERT_WEBHOOK=hook.url) as operations:
        for number in range(5):
            operations.alerts.fire(f"stalled/w{number}", level="error", message=f"w{number} is silent")
        watchers = [threading.Thread(target=operations.alerts.deliver) for _ in range(4)]
        for one in watchers:
            one.start()
        for one in watchers:
            one.join()
    assert sorted(note["message"] for note in hook.notes) == [f"w{number} is silent" for number in range(5)]


def test_a_claim_of_one_who_died_ends(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path, monkeypatch, BARLAKE_ALERT_WEBHOOK=hook.url) as operations:
        operations.alerts.fire("disk", level="warning", message="81 % full")
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=2)
        with writing(operations.engine) as connection:
            connection.execute(update(deliveries).values(due_at=soon, attempts=1))
        assert operations.alerts.deliver() == 0
        all_are_due(operations)
        assert operations.alerts.deliver() == 1


class MailHost:
    """Remembers letters and who handed them over."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.users: list[str] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
        self.letters.append((envelope, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 OK"

    def login(self, _server: object, _session: object, _envelope: object, _mechanism: str, data: Any) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and data.password.decode() == PASSWORD
        if is_right:
            self.users.append(data.login.decode())
        return AuthResult(success=is_right, handled=is_right)


@pytest.fixture
def mail_host() -> Iterator[tuple[MailHost, int]]:
    host = MailHost()
    controller = Controller(
        host,
        hostname="127.0.0.1",
        port=_free_port(),
        authenticator=host.login,
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield host, controller.port
    finally:
        controller.stop()


def test_an_alert_goes_out_by_e_mail_with_its_details(
    tmp_path: Path, mail_host: tuple[MailHost, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = mail_host
    address = {
        "BARLAKE_SMTP_URL": f"smtp://me%40home:open%20sesame%2F1@127.0.0.1:{port}",
        "BARLAKE_ALERT_EMAIL_TO": "you@example.com, team@example.com",
        "BARLAKE_ALERT_EMAIL_FROM": "barlake@example.com",
    }
    with opened(tmp_path, monkeypatch, **address) as operations:
        operations.alerts.fire("disk", level="warning", message="81 % full", details={"free_gb": 19})
        assert operations.alerts.deliver() == 1
    ((envelope, letter),) = host.letters
    assert host.users == ["me@home"]
    assert envelope.rcpt_tos == ["you@example.com", "team@example.com"]
    assert (letter["Subject"], letter["From"]) == ("barlake warning: 81 % full", "barlake@example.com")
    assert '"free_gb": 19' in letter.get_content()


def test_a_refused_password_is_said_without_the_password(
    tmp_path: Path, mail_host: tuple[MailHost, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address = {
        "BARLAKE_SMTP_URL": f"smtp://me:wrong-password@127.0.0.1:{mail_host[1]}",
        "BARLAKE_ALERT_EMAIL_TO": "you@example.com",
    }
    with opened(tmp_path, monkeypatch, **address) as operations:
        operations.alerts.fire("disk", level="warning", message="81 % full")
        assert operations.alerts.deliver() == 0
    assert "did not arrive by email" in caplog.text
    assert "wrong-password" not in caplog.text


def test_secrets_in_an_alert_are_blanked_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path, monkeypatch, ALPACA_API_SECRET_KEY="not-for-eyes") as operations:  # noqa: S106 - it is none
        operations.alerts.fire("x", level="error", message="it said not-for-eyes", details={"url": "?key=not-for-eyes"})
        (active,) = operations.alerts.active()
    assert "not-for-eyes" not in f"{active.message}{active.details}"
