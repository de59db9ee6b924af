"""Sends jobs to clockout, one per PBX queue, and is sure that RabbitMQ has them.

    producer.py SHIFT ACTION QUEUE:AGENT[,AGENT...]...
    producer.py shift-2291 pause 10000:570,553 10001:602

Ends with 0 once every job is stored in a queue. After anything else run it again with the same arguments: a job is known
again by its job_id and not done twice.
"""

import json
import os
import sys
from datetime import datetime, timedelta, timezone

import pika
from pika.exceptions import NackError, UnroutableError

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
JOBS_EXCHANGE = os.environ.get("JOBS_EXCHANGE", "clockout.jobs")

PERSISTENT = 2


def make_job(shift: str, action: str, order: str) -> dict:
    queue, agents = order.split(":")
    # Later than this it would hit the next shift.
    expires_at = datetime.now(timezone.utc) + timedelta(minutes=10)
    return {
        "job_id": f"{shift}/{queue}/{action}",
        "correlation_id": shift,
        "action": action,
        "queue": queue,
        "agents": agents.split(","),
        "reason": "shift end",
        "expires_at": expires_at.isoformat(),
    }


def main(shift: str, action: str, *orders: str) -> int:
    jobs = [make_job(shift, action, order) for order in orders]
    refused = 0
    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        # From here on a publish returns only when RabbitMQ has stored the message.
        channel.confirm_delivery()
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=PERSISTENT)
        for job in jobs:
            try:
                body = json.dumps(job).encode()
                channel.basic_publish(JOBS_EXCHANGE, job["queue"], body, properties, mandatory=True)
            except UnroutableError:
                print(f"{job['job_id']}: returned, no queue takes it", file=sys.stderr)
                refused += 1
            except NackError:
                print(f"{job['job_id']}: RabbitMQ could not store it", file=sys.stderr)
                refused += 1
    print(f"confirmed: {len(jobs) - refused} of {len(jobs)} jobs")
    return 1 if refused else 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
