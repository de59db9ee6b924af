// One job at a time: one call to the PBX, one confirmed outcome, one acknowledgement.

import { once } from "node:events";
import amqp from "amqplib";
import { jobOf, outcomeOf } from "../shared/outcome.mjs";
import { Pbx } from "../shared/pbx.mjs";
import { Results } from "../shared/results.mjs";
import { settings } from "../shared/settings.mjs";

const connection = await amqp.connect(settings.amqpUrl, { noDelay: true });
const jobs = await connection.createChannel();
await jobs.prefetch(1);
const results = await Results.open(connection, settings.resultsExchange);
const pbx = new Pbx(settings.pbxUrl, 1);
let current = Promise.resolve();

// Listened for before the broker shows a consumer, as whoever waits for that may stop it at once.
const stop = once(process, "SIGTERM");
const { consumerTag } = await jobs.consume(settings.jobsQueue, (message) => {
  if (!message) throw new Error("the jobs queue was deleted");
  current = carryOut(message);
});
console.log("ready");

await stop;
await jobs.cancel(consumerTag);
await current;
// Closing the connection at once could overtake the last acknowledgement.
await jobs.close();
await Promise.all([connection.close(), pbx.close()]);

async function carryOut(message) {
  const job = jobOf(message);
  try {
    const items = await pbx.call(job.action, job.queue, [job.agent]);
    const call = { id: job.job_id, size: 1 };
    await results.publish(outcomeOf(job, items.get(job.agent), call, new Date().toISOString()));
    jobs.ack(message);
  } catch (error) {
    console.error(`job ${job.job_id} failed: ${error.message}`);
    jobs.nack(message);
  }
}
