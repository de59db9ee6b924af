"""Gathers jobs per action and queue."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aio_pika.abc import AbstractIncomingMessage


@dataclass(frozen=True, slots=True)
class Job:
    message: AbstractIncomingMessage
    fields: dict[str, Any]
    received_at: str


@dataclass(slots=True)
class Batch:
    action: str
    queue: str
    jobs: list[Job] = field(default_factory=list)
    is_due: asyncio.Event = field(default_factory=asyncio.Event)


class Batches:
    """A batch is carried out once it is full or has lingered, and goes on growing until a call slot is free."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        max_agents: int,
        linger: float,
        slots: asyncio.Semaphore,
        call: Callable[[Batch], Awaitable[Any]],
        tell: Callable[[Batch, Any], Awaitable[None]],
    ) -> None:
        self._tasks = tasks
        self._max_agents = max_agents
        self._linger = linger
        self._slots = slots
        self._call = call
        self._tell = tell
        self._open: dict[tuple[str, str], Batch] = {}

    def add(self, job: Job) -> None:
        key = job.fields["action"], job.fields["queue"]
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = Batch(*key)
            self._tasks.create_task(self._carry_out(key, batch))
        batch.jobs.append(job)
        if len(batch.jobs) >= self._max_agents:
            del self._open[key]
            batch.is_due.set()

    def flush(self) -> None:
        for batch in self._open.values():
            batch.is_due.set()

    async def _carry_out(self, key: tuple[str, str], batch: Batch) -> None:
        try:
            async with asyncio.timeout(self._linger):
                await batch.is_due.wait()
        except TimeoutError:
            pass
        async with self._slots:
            if self._open.get(key) is batch:
                del self._open[key]
            answer = await self._call(batch)
        await self._tell(batch, answer)
