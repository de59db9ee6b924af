// Consumes jobs, sends them to the PBX in batches, tells one outcome each, then acknowledges.

import { once } from "node:events";
import amqp from "amqplib";
import { jobOf, outcomeOf } from "../shared/outcome.mjs";
import { Pbx } from "../shared/pbx.mjs";
import { Results } from "../shared/results.mjs";
import { settings } from "../shared/settings.mjs";
import { Acks } from "./acks.mjs";
import { Batches } from "./batches.mjs";

const RUN = process.pid.toString(36);

// Two connections: a broker that holds back publishers must not hold back acknowledgements.
const [jobsConnection, resultsConnection] = await Promise.all([
  amqp.connect(settings.amqpUrl, { noDelay: true }),
  amqp.connect(settings.amqpUrl, { noDelay: true }),
]);
const jobs = await jobsConnection.createChannel();
await jobs.prefetch(settings.prefetch);
const results = await Results.open(resultsConnection, settings.resultsExchange);
const pbx = new Pbx(settings.pbxUrl, settings.maxInFlight);
const acks = new Acks(jobs);
const batches = new Batches(settings, call);
let calls = 0;

// Listened for before the broker shows a consumer, as whoever waits for that may stop it at once.
const stop = once(process, "SIGTERM");
const { consumerTag } = await jobs.consume(settings.jobsQueue, (message) => {
  if (!message) throw new Error("the jobs queue was deleted");
  const job = jobOf(message);
  acks.received(job.tag);
  batches.add(job);
});
console.log("ready");

await stop;
await jobs.cancel(consumerTag);
batches.flush();
await acks.idle();
// Closing the connection at once could overtake the last acknowledgement.
await jobs.close();
await Promise.all([jobsConnection.close(), resultsConnection.close(), pbx.close()]);

async function call(batch) {
  const id = `${RUN}-${(calls += 1)}`;
  try {
    const items = await pbx.call(batch.action, batch.queue, batch.jobs.map(({ agent }) => agent));
    tell(batch.jobs, items, { id, size: batch.jobs.length });
  } catch (error) {
    console.error(`a call for ${batch.key} failed: ${error.message}`);
    for (const { tag } of batch.jobs) acks.requeue(tag);
  }
}

function tell(batch, items, call) {
  const now = new Date().toISOString();
  for (const job of batch) {
    results.publish(outcomeOf(job, items.get(job.agent), call, now)).then(
      () => acks.done(job.tag),
      (error) => {
        console.error(`an outcome was not taken: ${error.message}`);
        acks.requeue(job.tag);
      },
    );
  }
}
