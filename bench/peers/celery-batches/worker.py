"""The Celery application: buffers jobs, sends them to the PBX in batches, tells one outcome each."""

import logging
import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import Any

import urllib3
from celery import Celery, signals
from celery_batches import SimpleRequest
from kombu import Queue

import pbx
import settings
from outcome import Outcome, now, outcome_of
from results import PUBLISHERS, Results
from settling import SettlingBatches

log = logging.getLogger(__name__)
config = settings.from_environment(linger_ms=500)

app = Celery(broker=config.amqp_url)
app.conf.update(
    task_queues=[Queue(config.jobs_queue, no_declare=True, queue_arguments={"x-queue-type": "quorum"})],
    task_ignore_result=True,
    worker_prefetch_multiplier=config.prefetch,
    worker_enable_remote_control=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
)

Items = dict[str, dict[str, Any]]
call_ids = count(1)


@app.task(
    name="clockout.carry_out",
    base=SettlingBatches,
    flush_every=config.prefetch,
    flush_interval=config.linger,
)
def carry_out(requests: list[SimpleRequest]) -> set[str]:
    """The ids of the requests that are to come again."""
    received_at = now()
    again: set[str] = set()
    told: dict[str, str] = {}

    def outcomes() -> Iterator[Outcome]:
        batches = list(batches_of(requests))
        for batch, items in zip(batches, callers().map(call, batches), strict=True):
            if items is None:
                again.update(request.id for request in batch)
                continue
            for request, outcome in zip(batch, outcomes_of(batch, items, received_at), strict=True):
                told[outcome.id] = request.id
                yield outcome

    untaken = results().publish(outcomes())
    return again.union(told[outcome_id] for outcome_id in untaken)


def batches_of(requests: list[SimpleRequest]) -> Iterator[list[SimpleRequest]]:
    groups = defaultdict(list)
    for request in requests:
        [job] = request.args
        groups[job["action"], job["queue"]].append(request)
    for group in groups.values():
        for start in range(0, len(group), config.max_agents):
            yield group[start : start + config.max_agents]


def call(batch: list[SimpleRequest]) -> Items | None:
    """What the PBX says of each agent; None if the call failed."""
    [first] = batch[0].args
    body = pbx.request_body(first["queue"], (request.args[0]["agent"] for request in batch))
    url = config.pbx_url + pbx.PATHS[first["action"]]
    try:
        response = http().request("POST", url, body=body, headers=pbx.HEADERS, retries=False)
        if response.status != 200:
            raise ValueError(f"the PBX answered {response.status}")
        return pbx.items_by_agent(response.data)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        log.warning("a call for %s %s failed: %r", first["action"], first["queue"], error)
        return None


def outcomes_of(batch: list[SimpleRequest], items: Items, received_at: str) -> Iterator[Outcome]:
    call = {"id": f"{os.getpid():x}-{next(call_ids)}", "size": len(batch)}
    completed_at = now()
    for request in batch:
        [job] = request.args
        yield outcome_of(job, items.get(job["agent"]), call, received_at, completed_at)


# Made on first use: each child of the pool has its own.


@cache
def callers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(config.calls_per_process)


@cache
def http() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=config.calls_per_process)


@cache
def results() -> Results:
    return PUBLISHERS[os.environ.get("CONFIRM") or "pipelined"](config.amqp_url, config.results_exchange)


@signals.worker_ready.connect
def say_ready(**_: Any) -> None:
    print("ready", flush=True)
