"""Settings of the sources besides Alpaca's stocks: key, address, pace and timeout of each, under its own prefix.

`MASSIVE_API_KEY`, `MASSIVE_BASE_URL`, `MASSIVE_RPM` and `MASSIVE_TIMEOUT_S`, and so on for each other.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasGenerator, BaseModel, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

__all__ = [
    "AlphaVantageSettings",
    "BinanceSettings",
    "FredSettings",
    "MassiveSettings",
    "OneSource",
    "SourceOrder",
    "SourceSettings",
    "YahooSettings",
]


_ENVIRONMENT = SettingsConfigDict(
    env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
)


def _config(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: f"{prefix}_{name.upper()}"),
        populate_by_name=True,
    )


def _address(value: object) -> object:
    if not isinstance(value, str):
        return value
    url = value.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"{value!r} is not an http(s) address such as https://api.example.com")
    return url


Address = Annotated[str, BeforeValidator(_address)]


def _names(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


SourceNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names), Field(min_length=1)]


class SourceOrder(BaseSettings):
    """Whom to ask for what, the primary first and then those that stand in for it."""

    model_config = _ENVIRONMENT | _config("BARLAKE")

    minute_sources: SourceNames = ("alpaca",)
    daily_sources: SourceNames = ("alpaca",)
    crypto_sources: SourceNames = ("binance",)
    news_sources: SourceNames = ("alpaca",)
    macro_sources: SourceNames = ("fred",)


class OneSource(BaseSettings):
    """What every source may be told."""

    model_config = _ENVIRONMENT

    base_url: Address
    rpm: int = Field(default=60, ge=1)
    timeout_s: float = Field(default=30.0, gt=0)


class MassiveSettings(OneSource):
    """Massive, formerly Polygon.io; the pace is that of its free plan."""

    model_config = _config("MASSIVE")
    api_key: SecretStr | None = None
    base_url: Address = "https://api.massive.com"
    rpm: int = Field(default=5, ge=1)


class YahooSettings(OneSource):
    """Yahoo Finance, which has no key and states no limit."""

    model_config = _config("YAHOO")
    base_url: Address = "https://query2.finance.yahoo.com"


class AlphaVantageSettings(OneSource):
    """Alpha Vantage; the free plan has 25 requests a day."""

    model_config = _config("ALPHAVANTAGE")
    api_key: SecretStr | None = None
    base_url: Address = "https://www.alphavantage.co"
    rpm: int = Field(default=5, ge=1)


class FredSettings(OneSource):
    """The Federal Reserve Bank of St. Louis; 120 requests a minute, and no more than two a second."""

    model_config = _config("FRED")
    api_key: SecretStr | None = None
    base_url: Address = "https://api.stlouisfed.org/fred"
    rpm: int = Field(default=90, ge=1)


class BinanceSettings(OneSource):
    """Binance, which has no key for market data; a request for bars weighs 2 of 6,000 a minute."""

    model_config = _config("BINANCE")
    base_url: Address = "https://api.binance.com"
    rpm: int = Field(default=1200, ge=1)


class SourceSettings(BaseModel, frozen=True):
    """The settings of all of them, read where `Settings` is read."""

    order: SourceOrder = Field(default_factory=SourceOrder)
    massive: MassiveSettings = Field(default_factory=MassiveSettings)
    yahoo: YahooSettings = Field(default_factory=YahooSettings)
    alpha_vantage: AlphaVantageSettings = Field(default_factory=AlphaVantageSettings)
    fred: FredSettings = Field(default_factory=FredSettings)
    binance: BinanceSettings = Field(default_factory=BinanceSettings)
