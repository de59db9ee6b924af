"""Hears from clockout what became of each agent, on a durable queue of its own.

    consumer.py QUEUE PATTERN [COUNT]
    consumer.py crm.outcomes '*.failed.#'

PATTERN is held against <action>.<status>.<pbx>.<queue>. Ends after COUNT outcomes, or never. What comes while it is not
running waits in the queue.
"""

import json
import os
import sys

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
RESULTS_EXCHANGE = os.environ.get("RESULTS_EXCHANGE", "clockout.results")

PREFETCH = 100
REMEMBERED = 10_000


def handle(outcome: dict) -> None:
    """Here goes what you do with it. If it raises, nothing is acknowledged, and RabbitMQ delivers the outcome again."""
    line = "{action} {queue}/{agent}: {status}, {code}: {message}".format(**outcome)
    print(line, flush=True)


def main(queue: str, pattern: str, count: float) -> None:
    # An outcome can come twice, with the same id. A database with a unique key remembers longer than this does.
    seen: dict[str, None] = {}
    handled = 0
    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(queue, RESULTS_EXCHANGE, pattern)
        channel.basic_qos(prefetch_count=PREFETCH)
        print("listening", flush=True)
        for method, _properties, body in channel.consume(queue):
            outcome = json.loads(body)
            if outcome["outcome_id"] not in seen:
                handle(outcome)
                handled += 1
                seen[outcome["outcome_id"]] = None
                if len(seen) > REMEMBERED:
                    del seen[next(iter(seen))]
            # Only now: what is not acknowledged comes again.
            channel.basic_ack(method.delivery_tag)
            if handled >= count:
                break


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) == 4 else float("inf"))
