"""Publishes outcomes, persistent, mandatory and confirmed. A publisher is of one process and one thread."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import amqp
import kombu
from amqp.exceptions import MessageNacked
from kombu.utils.url import parse_url

from outcome import Outcome


class Results(ABC):
    @abstractmethod
    def publish(self, outcomes: Iterable[Outcome]) -> set[str]:
        """The ids of those that the broker did not take."""


class KombuResults(Results):
    """As Celery's users do it: kombu's `confirm_publish`, which waits for one confirm after the other."""

    def __init__(self, url: str, exchange: str) -> None:
        connection = kombu.Connection(url, transport_options={"confirm_publish": True})
        self._producer = kombu.Producer(
            connection.channel(), kombu.Exchange(exchange, no_declare=True), on_return=self._on_return
        )
        self._untaken: set[str] = set()

    def publish(self, outcomes: Iterable[Outcome]) -> set[str]:
        self._untaken.clear()
        for outcome in outcomes:
            try:
                self._producer.publish(
                    outcome.body,
                    routing_key=outcome.routing_key,
                    mandatory=True,
                    message_id=outcome.id,
                    content_type="application/json",
                    content_encoding="utf-8",
                    headers=outcome.headers,
                )
            except MessageNacked:
                self._untaken.add(outcome.id)
        return self._untaken

    def _on_return(self, _error: Exception, _exchange: str, _routing_key: str, message: Any) -> None:
        self._untaken.add(message.properties["message_id"])


class PipelinedResults(Results):
    """By hand on py-amqp: publishes the whole batch, then waits for all its confirms."""

    def __init__(self, url: str, exchange: str) -> None:
        parts = parse_url(url)
        connection = amqp.Connection(
            f"{parts['hostname']}:{parts['port']}",
            userid=parts["userid"],
            password=parts["password"],
            virtual_host=parts["virtual_host"],
        )
        connection.connect()
        self._exchange = exchange
        self._connection = connection
        self._channel = connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)
        self._published = 0
        self._unconfirmed: dict[int, str] = {}
        self._untaken: set[str] = set()

    def publish(self, outcomes: Iterable[Outcome]) -> set[str]:
        self._untaken.clear()
        for outcome in outcomes:
            message = amqp.Message(
                outcome.body,
                message_id=outcome.id,
                content_type="application/json",
                delivery_mode=2,
                application_headers=outcome.headers,
            )
            self._channel.basic_publish(message, self._exchange, outcome.routing_key, mandatory=True)
            self._published += 1
            self._unconfirmed[self._published] = outcome.id
        while self._unconfirmed:
            self._connection.drain_events()
        return self._untaken

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._confirm(tag, multiple)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._untaken.update(self._confirm(tag, multiple))

    def _on_return(self, *arguments: Any) -> None:
        *_, message = arguments
        self._untaken.add(message.properties["message_id"])

    def _confirm(self, tag: int, multiple: bool) -> list[str]:
        first = next(iter(self._unconfirmed)) if multiple else tag
        return [self._unconfirmed.pop(each) for each in range(first, tag + 1) if each in self._unconfirmed]


PUBLISHERS: dict[str, Callable[[str, str], Results]] = {"kombu": KombuResults, "pipelined": PipelinedResults}
