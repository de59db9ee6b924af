"""Consumes jobs, sends them to the PBX in batches, tells one outcome each, then acknowledges."""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
from itertools import count
from multiprocessing.connection import wait
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import aio_pika
import aiohttp
import orjson
import uvloop
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

import pbx
import settings
from acks import Acks
from batches import Batch, Batches, Job
from outcome import Outcome, now, outcome_of
from settings import Settings

log = logging.getLogger("worker")

Items = dict[str, dict[str, Any]]


class Worker:
    def __init__(self, http: aiohttp.ClientSession, results: AbstractExchange, acks: Acks) -> None:
        self._http = http
        self._results = results
        self._acks = acks
        self._call_ids = count(1)

    async def call(self, batch: Batch) -> Items | None:
        """What the PBX says of each agent; None if the call failed."""
        body = pbx.request_body(batch.queue, (job.fields["agent"] for job in batch.jobs))
        try:
            async with self._http.post(pbx.PATHS[batch.action], data=body, headers=pbx.HEADERS) as response:
                response.raise_for_status()
                return pbx.items_by_agent(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("a call for %s %s failed: %r", batch.action, batch.queue, error)
            return None

    async def tell(self, batch: Batch, items: Items | None) -> None:
        if items is None:
            for job in batch.jobs:
                await self._acks.requeue(job.message)
            return
        call = {"id": f"{os.getpid():x}-{next(self._call_ids)}", "size": len(batch.jobs)}
        completed_at = now()
        outcomes = (
            outcome_of(job.fields, items.get(job.fields["agent"]), call, job.received_at, completed_at)
            for job in batch.jobs
        )
        await asyncio.gather(*map(self._publish, batch.jobs, outcomes))

    async def _publish(self, job: Job, outcome: Outcome) -> None:
        message = aio_pika.Message(
            outcome.body,
            message_id=outcome.id,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers=outcome.headers,
        )
        try:
            await self._results.publish(message, outcome.routing_key, mandatory=True)
        except aio_pika.exceptions.DeliveryError as error:
            log.warning("an outcome was not taken: %r", error)
            await self._acks.requeue(job.message)
        else:
            self._acks.done(job.message)


def run(config: Settings, starting: "Synchronized[int]") -> None:
    uvloop.run(work(config, starting))


async def work(config: Settings, starting: "Synchronized[int]") -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    slots = config.calls_per_process
    # Two connections: a broker that holds back publishers must not hold back acknowledgements.
    async with (
        await aio_pika.connect(config.amqp_url) as jobs_connection,
        await aio_pika.connect(config.amqp_url) as results_connection,
        aiohttp.ClientSession(config.pbx_url, connector=aiohttp.TCPConnector(limit=slots)) as http,
    ):
        channel = await jobs_connection.channel()
        channel.close_callbacks.add(lambda *_: stop.set())
        await channel.set_qos(prefetch_count=config.prefetch)
        jobs = await channel.get_queue(config.jobs_queue, ensure=False)
        results_channel = await results_connection.channel(publisher_confirms=True, on_return_raises=True)
        results = await results_channel.get_exchange(config.results_exchange, ensure=False)

        acks = Acks()
        acker = asyncio.create_task(acks.run())
        worker = Worker(http, results, acks)
        async with asyncio.TaskGroup() as tasks:
            batches = Batches(
                tasks, config.max_agents, config.linger, asyncio.Semaphore(slots), worker.call, worker.tell
            )

            async def take(message: AbstractIncomingMessage) -> None:
                fields = orjson.loads(message.body)
                fields.setdefault("job_id", message.message_id)
                batches.add(Job(message, fields, now()))

            tag = await jobs.consume(take)
            say_ready(starting)
            await stop.wait()
            await jobs.cancel(tag)
            batches.flush()
        acker.cancel()
        await asyncio.wait([acker])
        await acks.flush()


def say_ready(starting: "Synchronized[int]") -> None:
    """The last process to start speaks for all."""
    with starting.get_lock():
        starting.value -= 1
        if starting.value == 0:
            print("ready", flush=True)


def main() -> int:
    logging.basicConfig(level=logging.WARNING)
    config = settings.from_environment(linger_ms=50)
    starting = multiprocessing.Value("i", config.processes)
    processes = [multiprocessing.Process(target=run, args=(config, starting)) for _ in range(config.processes)]
    for process in processes:
        process.start()

    def stop(*_: object) -> None:
        for process in processes:
            process.terminate()

    signal.signal(signal.SIGTERM, stop)
    wait([process.sentinel for process in processes])
    # Whether it ended in good order or not, no one goes on alone.
    stop()
    for process in processes:
        process.join()
    return max(abs(process.exitcode or 0) for process in processes)


if __name__ == "__main__":
    sys.exit(main())
