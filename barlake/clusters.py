"""Dask and Ray: workers that may be on other machines. Both are extras; without an address they start on this one."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

import joblib

from barlake.errors import InvalidInputError, SourceError
from barlake.settings import load_settings

__all__ = ["dask_workers", "ray_workers", "thread_limits"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


def thread_limits(threads: int) -> dict[str, str]:
    """The variables that a process reads before it starts its threads."""
    return dict.fromkeys(_THREADS, str(threads))


@contextlib.contextmanager
def dask_workers(workers: int, inner_threads: int) -> Iterator[None]:
    """Make joblib's backend `dask` work within the block.

    The client that is current in this process is used; else the cluster at `BARLAKE_CLUSTER`; else as many
    processes on this machine, which end with the block.

    Raises
    ------
    InvalidInputError
        If the extra is not installed.
    SourceError
        If nobody answers at the address.
    """
    try:
        import dask  # noqa: PLC0415 - an extra
        from distributed import Client, LocalCluster  # noqa: PLC0415
    except ImportError as error:
        raise _not_installed("dask") from error
    if _has_current(Client):
        yield
        return
    address = load_settings().cluster
    with contextlib.ExitStack() as stack:
        if address is None:
            stack.enter_context(dask.config.set({"distributed.nanny.pre-spawn-environ": thread_limits(inner_threads)}))
            options = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.ERROR}
            local = LocalCluster(n_workers=workers, processes=True, **options)  # type: ignore[no-untyped-call]
            stack.enter_context(local)
            address = local.scheduler_address
        try:
            stack.enter_context(Client(address, timeout="10s"))  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError) as error:
            raise _silent_cluster("Dask", address, error) from error
        yield


@contextlib.contextmanager
def ray_workers(workers: int, inner_threads: int) -> Iterator[None]:
    """Make joblib's backend `ray` work within the block.

    A Ray that this process already talks to is used; else the cluster at `BARLAKE_CLUSTER`; else one on this
    machine, which ends with the block. It sends no figures of its use to its makers.

    Raises
    ------
    InvalidInputError
        If the extra is not installed.
    SourceError
        If nobody answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - an extra
        from ray.util.joblib.ray_backend import RayBackend  # noqa: PLC0415
    except ImportError as error:
        raise _not_installed("ray") from error
    # Results may come one by one: what joblib fears of its own pool of processes is not so with Ray's actors.
    told = type("RayBackend", (RayBackend,), {"supports_return_generator": True})
    joblib.register_parallel_backend("ray", told)
    if ray.is_initialized():
        yield
        return
    address = load_settings().cluster
    _check_that_someone_listens("Ray", address)  # Ray itself would try for minutes
    local = {"num_cpus": workers, "include_dashboard": False} if address is None else {"address": address}
    environment = {"env_vars": thread_limits(inner_threads)}
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment, **local)
    except ConnectionError as error:
        raise _silent_cluster("Ray", str(address), error) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_that_someone_listens(name: str, address: str | None) -> None:
    """Try `host:port`; other forms (`auto`, `ray://...`) are left to the library."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise _silent_cluster(name, f"{host}:{port}", error) from error


def _has_current(client: type) -> bool:
    try:
        client.current()  # type: ignore[attr-defined] # distributed ships no type information
    except ValueError:
        return False
    return True


def _not_installed(name: str) -> InvalidInputError:
    return InvalidInputError(f"backend {name!r} is not installed: pip install 'barlake[{name}]', or use loky.")


def _silent_cluster(name: str, address: str, error: Exception) -> SourceError:
    return SourceError(
        f"no {name} cluster answers at BARLAKE_CLUSTER={address}: {error}. Start it, mend the address, or unset it "
        "to work on this machine."
    )
