"""What became of one job, as the message that tells it."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

NAMESPACE = UUID("5f0c9d1e-7a34-4b6d-9c12-c10cc0070001")
PBX = "default"
WORKER = f"{platform.node()}-{os.getpid()}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Outcome:
    id: str
    routing_key: str
    headers: dict[str, str]
    body: bytes


def outcome_of(
    job: dict[str, Any],
    item: dict[str, Any] | None,
    batch: dict[str, Any],
    received_at: str,
    completed_at: str,
) -> Outcome:
    """`item` is the PBX's word on the job's agent; `batch` is the call, its id and size."""
    job_id, action, queue, agent = job["job_id"], job["action"], job["queue"], job["agent"]
    ok = item is not None and item["ok"] == 1
    status = "succeeded" if ok else "failed"
    outcome_id = str(uuid5(NAMESPACE, f"{job_id}\0{queue}\0{agent}\0{action}\0"))
    body = {
        "outcome_id": outcome_id,
        "job_id": job_id,
        "correlation_id": job.get("correlation_id", job_id),
        "action": action,
        "queue": queue,
        "agent": agent,
        "reason": job.get("reason"),
        "context": job.get("context"),
        "dry_run": False,
        "pbx": PBX,
        "status": status,
        "code": "applied" if ok else "rejected",
        "message": item and item["message"],
        "attempts": 1,
        "batch": batch,
        "superseded_by": None,
        "requested_at": job.get("requested_at"),
        "received_at": received_at,
        "completed_at": completed_at,
        "worker": WORKER,
    }
    return Outcome(
        id=outcome_id,
        routing_key=f"{action}.{status}.{PBX}.{queue}",
        headers={"pbx": PBX, "queue": queue, "agent": agent, "action": action, "status": status},
        body=orjson.dumps(body),
    )
