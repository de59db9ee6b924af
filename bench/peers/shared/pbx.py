"""The PBX's batch calls: where they go, what is asked, what is answered."""

from collections.abc import Iterable
from typing import Any

import orjson

PATHS = {
    "pause": "/api/v4/pbx/queues/batchpauseagent",
    "remove": "/api/v4/pbx/queues/batchremoveagent",
}
HEADERS = {"Content-Type": "application/json"}


def request_body(queue: str, agents: Iterable[str]) -> bytes:
    return orjson.dumps({"agents": [{"queue": queue, "agent": agent} for agent in agents]})


def items_by_agent(reply: bytes) -> dict[str, dict[str, Any]]:
    """A ValueError if the reply has no items."""
    try:
        items = orjson.loads(reply)["data"]["Data"]
    except (KeyError, TypeError) as error:
        raise ValueError("the PBX answered without items") from error
    return {item["agent"]: item for item in items}
