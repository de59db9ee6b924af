// Hears from clockout what became of each agent, on a durable queue of its own.
//
//   node consumer.js QUEUE PATTERN [COUNT]
//   node consumer.js crm.outcomes '*.failed.#'
//
// PATTERN is held against <action>.<status>.<pbx>.<queue>. Ends after COUNT outcomes, or never. What comes while it is not
// running waits in the queue.

import amqp from "amqplib";

const { AMQP_URL = "amqp://guest:guest@127.0.0.1:5672/%2f", RESULTS_EXCHANGE = "clockout.results" } = process.env;
const PREFETCH = 100;
const REMEMBERED = 10_000;

const [queue, pattern, count = Infinity] = process.argv.slice(2);
if (!pattern) {
  console.error("usage: consumer.js QUEUE PATTERN [COUNT]");
  process.exit(2);
}

/** Here goes what you do with it. If it throws, nothing is acknowledged, and RabbitMQ delivers the outcome again. */
function handle({ action, queue, agent, status, code, message }) {
  console.log(`${action} ${queue}/${agent}: ${status}, ${code}: ${message}`);
}

// An outcome can come twice, with the same id. A database with a unique key remembers longer than this does.
const seen = new Set();
let handled = 0;

const connection = await amqp.connect(AMQP_URL);
const channel = await connection.createChannel();
await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
await channel.bindQueue(queue, RESULTS_EXCHANGE, pattern);
await channel.prefetch(PREFETCH);
console.log("listening");

await channel.consume(queue, async (delivery) => {
  if (delivery === null) throw new Error("RabbitMQ ended the subscription");
  if (handled >= count) return;
  const outcome = JSON.parse(delivery.content);
  if (!seen.has(outcome.outcome_id)) {
    handle(outcome);
    handled += 1;
    seen.add(outcome.outcome_id);
    if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
  }
  // Only now: what is not acknowledged comes again.
  channel.ack(delivery);
  if (handled >= count) {
    await channel.close();
    await connection.close();
  }
});
