// What became of one job, as the message that tells it.

import { createHash } from "node:crypto";
import { hostname } from "node:os";

const NAMESPACE = Buffer.from("5f0c9d1e7a344b6d9c12c10cc0070001", "hex");
const PBX = "default";
const WORKER = `${hostname()}-${process.pid}`;

export function jobOf({ content, fields, properties }) {
  const job = JSON.parse(content);
  const sent = properties.timestamp && new Date(properties.timestamp * 1000).toISOString();
  return {
    ...job,
    job_id: job.job_id ?? properties.messageId,
    requested_at: job.requested_at ?? sent ?? null,
    received_at: new Date().toISOString(),
    tag: fields.deliveryTag,
  };
}

/** `item` is the PBX's word on the job's agent; `batch` is the call, `{ id, size }`. */
export function outcomeOf(job, item, batch, completedAt) {
  const { job_id, action, queue, agent } = job;
  const ok = item?.ok === 1;
  const status = ok ? "succeeded" : "failed";
  const outcome_id = uuidV5(`${job_id}\0${queue}\0${agent}\0${action}\0`);
  const body = {
    outcome_id,
    job_id,
    correlation_id: job.correlation_id ?? job_id,
    action,
    queue,
    agent,
    reason: job.reason ?? null,
    context: job.context ?? null,
    dry_run: false,
    pbx: PBX,
    status,
    code: ok ? "applied" : "rejected",
    message: item?.message ?? null,
    attempts: 1,
    batch,
    superseded_by: null,
    requested_at: job.requested_at,
    received_at: job.received_at,
    completed_at: completedAt,
    worker: WORKER,
  };
  return {
    routingKey: `${action}.${status}.${PBX}.${queue}`,
    body: Buffer.from(JSON.stringify(body)),
    properties: {
      messageId: outcome_id,
      contentType: "application/json",
      persistent: true,
      mandatory: true,
      headers: { pbx: PBX, queue, agent, action, status },
    },
  };
}

function uuidV5(name) {
  const bytes = createHash("sha1").update(NAMESPACE).update(name).digest();
  bytes[6] = (bytes[6] & 0x0f) | 0x50;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString("hex", 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
