"""Settings, read once from the environment and `.env`, then passed down as one frozen value.

An environment variable wins over `.env` in the working directory. Secrets are `SecretStr`: printing
settings shows asterisks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from barlake.errors import InvalidInputError
from barlake.source_settings import SourceSettings

__all__ = ["IEX_CLOUD_NOTICE", "Settings", "load_settings"]

ALPACA_DATA_URL = "https://data.alpaca.markets"
ALPACA_STREAM_URL = "wss://stream.data.alpaca.markets"
ALPACA_TRADING_URL = "https://paper-api.alpaca.markets"

IEX_CLOUD_NOTICE = (
    "IEX_TOKEN is set, but IEX Cloud closed in August 2024 and nothing uses it: "
    "set ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY, and ALPACA_FEED=iex for IEX's own trades."
)


def _blank_to_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _base_url(value: object) -> object:
    """Base URL without trailing slashes and without `/v2`, which the client adds itself."""
    if not isinstance(value, str) or not value.strip():
        return None
    url = value.strip().rstrip("/").removesuffix("/v2").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"{value!r} is not an http(s) address such as {ALPACA_DATA_URL}")
    return url


def _stream_url(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        return None
    url = value.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.netloc:
        raise ValueError(f"{value!r} is not a ws(s) address such as {ALPACA_STREAM_URL}")
    return url


OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_to_none)]
OptionalUrl = Annotated[str | None, BeforeValidator(_base_url)]
OptionalStreamUrl = Annotated[str | None, BeforeValidator(_stream_url)]


class Settings(BaseSettings):
    """Where the lake lies and how its services are reached. Fields read the environment names they list."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )

    root: str = Field(default="data", validation_alias=AliasChoices("BARLAKE_ROOT"))
    local_root: Path | None = Field(default=None, validation_alias=AliasChoices("BARLAKE_LOCAL_ROOT"))
    s3_endpoint_url: OptionalUrl = Field(
        default=None, validation_alias=AliasChoices("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    )
    s3_region: str | None = Field(default=None, validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"))
    s3_access_key_id: OptionalSecret = Field(default=None, validation_alias=AliasChoices("AWS_ACCESS_KEY_ID"))
    s3_secret_access_key: OptionalSecret = Field(default=None, validation_alias=AliasChoices("AWS_SECRET_ACCESS_KEY"))
    s3_session_token: OptionalSecret = Field(default=None, validation_alias=AliasChoices("AWS_SESSION_TOKEN"))

    clock_file: Annotated[Path | None, BeforeValidator(_blank_to_none)] = Field(
        default=None, validation_alias=AliasChoices("BARLAKE_CLOCK")
    )

    securities_file: Annotated[Path | None, BeforeValidator(_blank_to_none)] = Field(
        default=None, validation_alias=AliasChoices("BARLAKE_SECURITIES")
    )

    database_url: OptionalSecret = Field(default=None, validation_alias=AliasChoices("BARLAKE_DATABASE_URL"))

    operations_url: OptionalSecret = Field(default=None, validation_alias=AliasChoices("BARLAKE_OPERATIONS_URL"))
    workers: int | None = Field(default=None, validation_alias=AliasChoices("BARLAKE_WORKERS"), ge=1)
    parallel_backend: str = Field(
        default="loky",
        validation_alias=AliasChoices("BARLAKE_PARALLEL_BACKEND"),
        pattern="^(?i:loky|dask|ray|sequential)$",
    )
    cluster: Annotated[str | None, BeforeValidator(_blank_to_none)] = Field(
        default=None, validation_alias=AliasChoices("BARLAKE_CLUSTER")
    )
    worker_concurrency: int = Field(default=4, validation_alias=AliasChoices("BARLAKE_WORKER_CONCURRENCY"), ge=1)
    sql_concurrency: int = Field(default=2, validation_alias=AliasChoices("BARLAKE_SQL_CONCURRENCY"), ge=1)
    starts_workers: bool = Field(default=True, validation_alias=AliasChoices("BARLAKE_STARTS_WORKERS"))
    heartbeat_s: float = Field(default=5.0, validation_alias=AliasChoices("BARLAKE_HEARTBEAT_S"), gt=0)
    log_format: str | None = Field(
        default=None, validation_alias=AliasChoices("BARLAKE_LOG_FORMAT"), pattern="^(?i:json|text)$"
    )
    log_level: str | None = Field(
        default=None,
        validation_alias=AliasChoices("BARLAKE_LOG_LEVEL"),
        pattern="^(?i:debug|info|warning|error|critical)$",
    )
    log_keep_rows: int = Field(default=500_000, validation_alias=AliasChoices("BARLAKE_LOG_KEEP_ROWS"), ge=1)
    log_keep_days: int = Field(default=30, validation_alias=AliasChoices("BARLAKE_LOG_KEEP_DAYS"), ge=1)
    api_open_on_loopback: bool = Field(default=True, validation_alias=AliasChoices("BARLAKE_API_OPEN_ON_LOOPBACK"))
    api_requests_per_minute: int = Field(
        default=600, validation_alias=AliasChoices("BARLAKE_API_REQUESTS_PER_MINUTE"), ge=1
    )
    alert_webhook: OptionalSecret = Field(default=None, validation_alias=AliasChoices("BARLAKE_ALERT_WEBHOOK"))
    alert_email_to: str | None = Field(default=None, validation_alias=AliasChoices("BARLAKE_ALERT_EMAIL_TO"))
    alert_email_from: str = Field(
        default="barlake@localhost", validation_alias=AliasChoices("BARLAKE_ALERT_EMAIL_FROM")
    )
    smtp_url: OptionalSecret = Field(default=None, validation_alias=AliasChoices("BARLAKE_SMTP_URL"))

    otlp_endpoint: str | None = Field(default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT"))

    alpaca_key_id: OptionalSecret = Field(
        default=None, validation_alias=AliasChoices("ALPACA_API_KEY_ID", "ALPACA_KEY_ID", "APCA_API_KEY_ID")
    )
    alpaca_secret_key: OptionalSecret = Field(
        default=None,
        validation_alias=AliasChoices("ALPACA_API_SECRET_KEY", "ALPACA_SECRET_KEY", "APCA_API_SECRET_KEY"),
    )
    alpaca_data_url: OptionalUrl = Field(
        default=None,
        validation_alias=AliasChoices("ALPACA_DATA_URL", "ALPACA_API_BASE_URL", "ALPACA_BASE_URL"),
    )
    alpaca_trading_url: OptionalUrl = Field(default=None, validation_alias=AliasChoices("ALPACA_TRADING_URL"))
    alpaca_feed: str = Field(
        default="auto", validation_alias=AliasChoices("ALPACA_FEED"), pattern="^(?i:auto|sip|iex|synthetic)$"
    )
    alpaca_live_feed: str = Field(
        default="iex", validation_alias=AliasChoices("ALPACA_LIVE_FEED"), pattern="^(?i:sip|iex|synthetic)$"
    )
    alpaca_stream: str = Field(
        default="auto", validation_alias=AliasChoices("ALPACA_STREAM"), pattern="^(?i:auto|off)$"
    )
    alpaca_stream_url: OptionalStreamUrl = Field(default=None, validation_alias=AliasChoices("ALPACA_STREAM_URL"))
    alpaca_plan: str = Field(
        default="auto", validation_alias=AliasChoices("ALPACA_PLAN"), pattern="^(?i:auto|basic|plus)$"
    )
    alpaca_requests_per_minute: int = Field(default=200, validation_alias=AliasChoices("ALPACA_RPM"), ge=1)
    alpaca_timeout_s: float = Field(default=30.0, validation_alias=AliasChoices("ALPACA_TIMEOUT_S"), gt=0)
    iex_token: OptionalSecret = Field(default=None, validation_alias=AliasChoices("IEX_TOKEN"))

    sources: SourceSettings = Field(default_factory=SourceSettings)

    export_postgres_url: OptionalSecret = Field(
        default=None, validation_alias=AliasChoices("BARLAKE_EXPORT_POSTGRES_URL")
    )
    influx_token: OptionalSecret = Field(default=None, validation_alias=AliasChoices("BARLAKE_INFLUX_TOKEN"))

    source_duckdb_path: Path | None = Field(default=None, validation_alias=AliasChoices("SOURCE_DUCKDB_PATH"))
    dest_duckdb_path: Path | None = Field(default=None, validation_alias=AliasChoices("DEST_DUCKDB_PATH"))
    dest_parquet_dir: Path | None = Field(default=None, validation_alias=AliasChoices("DEST_PARQUET_DIR"))


def load_settings(root: Path | str | None = None) -> Settings:
    """Settings from the environment and `.env`; `root` given by the caller wins over `BARLAKE_ROOT`.

    Raises
    ------
    InvalidInputError
        If a variable has a value its rule forbids; the message names the variable.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        # No field that can be wrong holds a secret: keys are taken as they are.
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])} is {fault['input']!r}: {fault['msg']}"
            for fault in error.errors()
        )
        raise InvalidInputError(f"settings from the environment or .env are wrong: {faults}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f".env in this folder is not UTF-8 text: {error}. Save it as UTF-8.") from error
    if root is not None:
        settings = settings.model_copy(update={"root": str(root)})
    return settings
