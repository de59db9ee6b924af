// Sends jobs to clockout, one per PBX queue, and is sure that RabbitMQ has them.
//
//   node producer.js SHIFT ACTION QUEUE:AGENT[,AGENT...]...
//   node producer.js shift-2291 pause 10000:570,553 10001:602
//
// Ends with 0 once every job is stored in a queue. After anything else run it again with the same arguments: a job is
// known again by its job_id and not done twice.

import amqp from "amqplib";

const { AMQP_URL = "amqp://guest:guest@127.0.0.1:5672/%2f", JOBS_EXCHANGE = "clockout.jobs" } = process.env;

const [shift, action, ...orders] = process.argv.slice(2);
if (orders.length === 0) {
  console.error("usage: producer.js SHIFT ACTION QUEUE:AGENT[,AGENT...]...");
  process.exit(2);
}

function makeJob(order) {
  const [queue, agents] = order.split(":");
  return {
    job_id: `${shift}/${queue}/${action}`,
    correlation_id: shift,
    action,
    queue,
    agents: agents.split(","),
    reason: "shift end",
    // Later than this it would hit the next shift.
    expires_at: new Date(Date.now() + 10 * 60 * 1000).toISOString(),
  };
}

/** Resolves once RabbitMQ has stored the job in a queue. */
function publish(channel, returned, job) {
  const options = { messageId: job.job_id, contentType: "application/json", persistent: true, mandatory: true };
  return new Promise((resolve, reject) => {
    channel.publish(JOBS_EXCHANGE, job.queue, Buffer.from(JSON.stringify(job)), options, (refused) => {
      if (refused) reject(new Error(`${job.job_id}: RabbitMQ could not store it`));
      // What no queue takes is returned first, and confirmed all the same.
      else if (returned.has(job.job_id)) reject(new Error(`${job.job_id}: returned, no queue takes it`));
      else resolve();
    });
  });
}

const connection = await amqp.connect(AMQP_URL);
const channel = await connection.createConfirmChannel();
const returned = new Set();
channel.on("return", (message) => returned.add(message.properties.messageId));

const publishes = orders.map(makeJob).map((job) => publish(channel, returned, job));
const results = await Promise.allSettled(publishes);
await connection.close();

const refused = results.filter((result) => result.status === "rejected");
for (const { reason } of refused) console.error(reason.message);
console.log(`confirmed: ${results.length - refused.length} of ${results.length} jobs`);
process.exitCode = refused.length > 0 ? 1 : 0;
