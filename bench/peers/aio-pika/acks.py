"""Settles deliveries."""

import asyncio

from aio_pika.abc import AbstractIncomingMessage


class Acks:
    """Acknowledges with `multiple`, up to the highest delivery below which every one is settled.

    Only `run` acknowledges: two tasks could overtake one another, and a tag acknowledged twice closes the channel.
    """

    def __init__(self) -> None:
        self._settled: dict[int, AbstractIncomingMessage | None] = {}
        self._watermark = 0
        self._changed = asyncio.Event()

    def done(self, message: AbstractIncomingMessage) -> None:
        self._settled[message.delivery_tag] = message
        self._changed.set()

    async def requeue(self, message: AbstractIncomingMessage) -> None:
        await message.nack(requeue=True)
        self._settled[message.delivery_tag] = None
        self._changed.set()

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            await self.flush()

    async def flush(self) -> None:
        self._changed.clear()
        last = None
        while self._watermark + 1 in self._settled:
            self._watermark += 1
            last = self._settled.pop(self._watermark) or last
        if last is not None:
            await last.ack(multiple=True)
