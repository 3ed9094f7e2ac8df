"""Airflow brings the lake up to date: bars first, then what is beside them, then features.

Barlake lives in an environment of its own, named by the Airflow variable `barlake_command`: the two do not share
libraries. Written for Airflow 3 (`airflow.sdk`).
"""

import datetime as dt
import os

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

RETRIES = int(os.environ.get("BARLAKE_DAG_RETRIES", "2"))
"""A trial by `airflow dags test` waits for none: 0."""

BARLAKE = "{{ var.value.get('barlake_command', 'barlake') }}"

with DAG(
    dag_id="barlake_update",
    schedule="30 6 * * 2-6",  # UTC; the morning after each session
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,  # what is due is told by the lake, not by the date of a run
    max_active_runs=1,
    # Exit code 3 says that some symbols lack something: another try asks for these alone.
    default_args={
        "retries": RETRIES,
        "retry_delay": dt.timedelta(minutes=10),
        "execution_timeout": dt.timedelta(hours=6),
    },
    tags=["barlake"],
) as dag:
    bars = BashOperator(task_id="bars", bash_command=f"{BARLAKE} update --do bars,sessions,recheck")
    refresh = BashOperator(task_id="refresh", bash_command=f"{BARLAKE} update --do actions,calendar")
    features = BashOperator(task_id="features", bash_command=f"{BARLAKE} update --do features", trigger_rule="all_done")
    [bars, refresh] >> features
