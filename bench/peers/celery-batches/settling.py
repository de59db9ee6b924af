"""Batch tasks whose jobs are acknowledged one by one, by what became of each."""

from collections.abc import Collection
from typing import Any

from celery.worker.request import Request
from celery_batches import Batches, SimpleRequest
from celery_batches.trace import apply_batches_task


class SettlingBatches(Batches):
    """The task returns the ids of the requests that are to come again; those that it raised for all come again.

    As it comes, celery-batches acknowledges a batch however it ended.
    """

    abstract = True
    acks_late = True

    def flush(self, requests: Collection[Request]) -> Any:
        def settle(again: set[str] | None) -> None:
            for request in requests:
                if again is None or request.id in again:
                    request.reject(requeue=True)
                else:
                    request.acknowledge()

        jobs = [SimpleRequest.from_request(request) for request in requests]
        return self._pool.apply_async(apply_batches_task, (self, (jobs,), 0, None), callback=settle)
