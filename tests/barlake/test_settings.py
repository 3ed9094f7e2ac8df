from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from barlake.errors import InvalidInputError
from barlake.settings import IEX_CLOUD_NOTICE, load_settings


def revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def test_with_nothing_set_the_lake_lies_in_data_and_there_is_no_key() -> None:
    settings = load_settings()
    assert settings.root == "data"
    assert settings.alpaca_key_id is None
    assert settings.alpaca_secret_key is None
    assert settings.alpaca_data_url is None
    assert settings.alpaca_feed == "auto"
    assert settings.alpaca_requests_per_minute == 200


@pytest.mark.parametrize("name", ["ALPACA_API_KEY_ID", "ALPACA_KEY_ID", "APCA_API_KEY_ID"])
def test_the_key_has_several_spellings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "a-key")
    assert revealed(load_settings().alpaca_key_id) == "a-key"


@pytest.mark.parametrize("name", ["ALPACA_API_SECRET_KEY", "ALPACA_SECRET_KEY", "APCA_API_SECRET_KEY"])
def test_the_secret_has_several_spellings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "a-secret")
    assert revealed(load_settings().alpaca_secret_key) == "a-secret"


@pytest.mark.parametrize("name", ["ALPACA_DATA_URL", "ALPACA_API_BASE_URL", "ALPACA_BASE_URL"])
def test_the_address_has_several_spellings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:8000")
    assert load_settings().alpaca_data_url == "http://127.0.0.1:8000"


def test_an_empty_spelling_does_not_hide_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_API_KEY_ID", "")
    monkeypatch.setenv("ALPACA_KEY_ID", "a-key")
    assert revealed(load_settings().alpaca_key_id) == "a-key"


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_key_or_address_is_none(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    for name in ("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY", "ALPACA_API_BASE_URL", "IEX_TOKEN"):
        monkeypatch.setenv(name, blank)
    settings = load_settings()
    assert settings.alpaca_key_id is None
    assert settings.alpaca_secret_key is None
    assert settings.alpaca_data_url is None
    assert settings.iex_token is None


@pytest.mark.parametrize("ending", ["", "/", "//", "/v2", "/v2/", " "])
def test_a_trailing_slash_and_the_version_are_no_part_of_the_address(
    monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setenv("ALPACA_API_BASE_URL", "https://data.alpaca.markets" + ending)
    assert load_settings().alpaca_data_url == "https://data.alpaca.markets"


@pytest.mark.parametrize("url", ["data.alpaca.markets", "ftp://data.alpaca.markets", "https://", "yes"])
def test_an_address_that_is_none_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", url)
    with pytest.raises(InvalidInputError, match=rf"ALPACA_DATA_URL.*{re.escape(url)}.*such as https://"):
        load_settings()


@pytest.mark.parametrize("feed", ["auto", "sip", "iex", "SIP", "Iex"])
def test_a_feed_may_be_written_in_any_case(monkeypatch: pytest.MonkeyPatch, feed: str) -> None:
    monkeypatch.setenv("ALPACA_FEED", feed)
    assert load_settings().alpaca_feed == feed


@pytest.mark.parametrize("feed", ["otc", "sipp", "sip,iex"])
def test_an_unknown_feed_is_refused_by_the_setting_s_name(monkeypatch: pytest.MonkeyPatch, feed: str) -> None:
    monkeypatch.setenv("ALPACA_FEED", feed)
    with pytest.raises(InvalidInputError, match="ALPACA_FEED"):
        load_settings()


@pytest.mark.parametrize("pace", ["0", "-1", "fast"])
def test_a_pace_below_one_request_is_refused(monkeypatch: pytest.MonkeyPatch, pace: str) -> None:
    monkeypatch.setenv("ALPACA_RPM", pace)
    with pytest.raises(InvalidInputError, match="ALPACA_RPM"):
        load_settings()


def test_a_dotenv_file_in_the_working_directory_is_read() -> None:
    Path(".env").write_text(
        'ALPACA_API_KEY_ID="a-key" # mine\nexport ALPACA_SECRET_KEY=a-secret\nOTHER=1\n', encoding="utf-8"
    )
    settings = load_settings()
    assert revealed(settings.alpaca_key_id) == "a-key"
    assert revealed(settings.alpaca_secret_key) == "a-secret"


@pytest.mark.parametrize("name", ["ALPACA_API_KEY_ID", "ALPACA_KEY_ID"])
def test_the_environment_wins_over_the_dotenv_file_in_any_spelling(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    Path(".env").write_text("ALPACA_API_KEY_ID=from-file\n", encoding="utf-8")
    monkeypatch.setenv(name, "from-environment")
    assert revealed(load_settings().alpaca_key_id) == "from-environment"


def test_an_empty_variable_leaves_the_dotenv_file_its_say(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("ALPACA_API_KEY_ID=from-file\n", encoding="utf-8")
    monkeypatch.setenv("ALPACA_API_KEY_ID", "")
    assert revealed(load_settings().alpaca_key_id) == "from-file"


def test_a_root_given_by_the_caller_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARLAKE_ROOT", "from-environment")
    assert load_settings().root == "from-environment"
    assert load_settings("given").root == "given"


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY", "IEX_TOKEN"):
        monkeypatch.setenv(name, "very-private")
    settings = load_settings()
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert "very-private" not in shown


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().alpaca_feed = "iex"  # type: ignore[misc] # what the test is about


def test_an_iex_cloud_token_is_answered_with_one_sentence_that_says_what_to_set() -> None:
    for part in ("IEX_TOKEN", "closed in August 2024", "ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"):
        assert part in IEX_CLOUD_NOTICE
    assert IEX_CLOUD_NOTICE.endswith(".")
    assert IEX_CLOUD_NOTICE.count(". ") == 0
    assert "\n" not in IEX_CLOUD_NOTICE
