// Shows the worker's status, as it comes, in the page's places.

import { offer } from "./actions.js";
import { plot } from "./plot.js";
import { Rows, say } from "./rows.js";
import { follow } from "./stream.js";
import { age, ago, clock, milliseconds, number, perSecond, plural, seconds } from "./words.js";

/** Most PBX queues shown at a time; the filter finds the others. */
const QUEUES_SHOWN = 50;

const place = (id) => document.getElementById(id);
const rows = {
  queues: new Rows("queues"),
  failures: new Rows("failures"),
  batches: new Rows("batches"),
  errors: new Rows("errors"),
};

/** What the PBX did, by the result of a call that it did not answer; one that it refuses it has answered. */
const TROUBLE = {
  transient: "failed",
  ambiguous: "gave no clear answer",
  fault: "failed for everyone",
};

/** Is it green, and if not, why? The first thing to know. */
function showVerdict({ verdict: { state, words }, reasons, stalled, not_ready_since, breaker }) {
  const why = reasons.map(({ message }) => message);
  verdict(state, words, stalled === null ? why : [stalled, ...why]);
  const when = [];
  if (state === "bad" && not_ready_since !== null) {
    when.push(`since ${clock(not_ready_since)}`);
  }
  if (breaker.next_probe !== null) {
    when.push(`next probe of the PBX at ${clock(breaker.next_probe)}`);
  }
  showWhen(when);
}

/** Is not read out: of an outage the next probe is always another. */
function showWhen(when) {
  const line = place("verdict-when");
  line.hidden = when.length === 0;
  say(line, when.join("; "));
}

function verdict(state, word, why) {
  const box = place("verdict");
  if (box.dataset.state !== state) {
    box.dataset.state = state;
  }
  say(place("verdict-word"), word);
  const list = place("reasons");
  const shown = Array.from(list.children, (item) => item.textContent);
  // A live region: what is written anew is read out again.
  if (why.join("\n") !== shown.join("\n")) {
    list.replaceChildren(...why.map((text) => withText("li", text)));
  }
  document.title = `${word} – clockout`;
}

function withText(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function showIdentity({ worker, pbx, version, uptime_seconds }) {
  say(place("pbx"), `PBX ${pbx}`);
  say(place("identity"), `${worker} · version ${version} · up ${seconds(uptime_seconds)}`);
}

function showNow({ history, jobs_ready, dead, held, calls_in_flight, totals }) {
  say(place("received-rate"), perSecond(history.received));
  say(place("outcome-rate"), perSecond(history.outcomes));
  say(place("jobs-ready"), jobs_ready === null ? "not known" : number(jobs_ready));
  say(place("held"), number(held));
  say(place("calls"), number(calls_in_flight));
  say(place("dead-ready"), dead.ready === null ? "not known" : number(dead.ready), dead.ready > 0 ? "warn" : "");
  say(place("dead-where"), `waiting in ${dead.queue}; since start ${number(totals.dead_letters)}`);
  place("dead-next").hidden = !(dead.ready > 0);
}

function showLinks({ broker, breaker, batches, dry_run }) {
  const lost = broker.reconnects > 0 ? `; lost and back ${plural(broker.reconnects, "time", "times")}` : "";
  if (!broker.connected) {
    say(place("broker"), `✗ not connected${lost}`, "bad");
  } else if (!broker.subscribed) {
    say(place("broker"), `! connected, taking no jobs${lost}`, "warn");
  } else {
    say(place("broker"), `✓ connected and subscribed${lost}`, "good");
  }
  if (dry_run) {
    say(place("pbx-link"), "! never called: policy.dry_run is true", "warn");
  } else if (batches.length === 0) {
    say(place("pbx-link"), "not called yet");
  } else {
    showLastCall(batches[0]);
  }
  if (breaker.open) {
    say(place("breaker"), `✗ open, no calls are made: ${breaker.reason}`, "bad");
  } else {
    say(place("breaker"), "✓ closed, calls are made", "good");
  }
}

/** Seconds after which an answer no longer says how the PBX is. */
const NEWS_SECONDS = 300;

function showLastCall({ at, result, message, took_ms }) {
  const since = age(at);
  const trouble = TROUBLE[result];
  if (trouble !== undefined) {
    say(place("pbx-link"), `✗ ${trouble} ${ago(since)}: ${message}`, "bad");
    return;
  }
  const refusal = message === null ? "" : `, refusing a batch: ${message}`;
  const answer = `${ago(since)}, in ${milliseconds(took_ms)}${refusal}`;
  if (since < NEWS_SECONDS) {
    say(place("pbx-link"), `✓ answered ${answer}`, "good");
  } else {
    say(place("pbx-link"), `last answered ${answer}`);
  }
}

/** Bad is what may leave an agent on the queue. */
const TONES = { succeeded: "good", failed: "bad", invalid: "bad", unknown: "bad", expired: "bad" };

/** What went well and what did not come first, what leaves nobody on a queue last. */
const STATUSES = ["succeeded", "failed", "unknown", "expired", "invalid", "superseded", "dry_run"];

function showOutcomes({ totals }) {
  const list = place("outcomes");
  const outcomes = Object.entries(totals.outcomes);
  outcomes.sort(([a], [b]) => STATUSES.indexOf(a) - STATUSES.indexOf(b));
  for (const [status, count] of outcomes) {
    let pair = list.querySelector(`[data-status="${CSS.escape(status)}"]`);
    if (pair === null) {
      pair = document.createElement("div");
      pair.dataset.status = status;
      pair.append(withText("dt", status.replace("_", " ")), document.createElement("dd"));
      list.append(pair);
    }
    pair.classList.toggle("zero", count === 0);
    say(pair.lastElementChild, number(count), count > 0 ? TONES[status] : "");
  }
}

/** Why a batch left: the settings and metrics have the names, operators the words. */
const CAUSES = {
  full: "it was full",
  linger: "its time to gather was over",
  prefetch: "no more jobs fit in",
  drain: "the worker stops",
  flush: "somebody flushed it",
  retry: "it was to be tried again",
  split: "the PBX refused a larger one",
  probe: "it tries the failing PBX",
};

let queues = [];

function showQueues() {
  const wanted = place("queue-filter").value.trim();
  const found = queues.filter(({ queue }) => queue.includes(wanted));
  const load = (row) => row.waiting + row.in_flight;
  found.sort((a, b) => load(b) - load(a) || a.queue.localeCompare(b.queue, "en", { numeric: true }));
  if (rows.queues.isHeld) {
    // Nothing moves under the reader's hand: what is shown stays where it is.
    found.sort((a, b) => rows.queues.position(a.queue) - rows.queues.position(b.queue));
  }
  const shown = found.slice(0, QUEUES_SHOWN);
  rows.queues.show(
    shown.map(({ queue, waiting, retrying, in_flight }) => ({
      key: queue,
      cells: [queue, number(waiting), number(retrying), number(in_flight)],
    })),
  );
  const all = plural(found.length, "queue", "queues");
  say(place("queues-shown"), shown.length < found.length ? `the busiest ${shown.length} of ${all}` : all);
}

function showTables({ batches, failures, last_errors }) {
  rows.batches.show(
    batches.map((batch) => ({
      key: String(batch.batch),
      cells: [
        clock(batch.at),
        batch.queue,
        batch.action,
        `${batch.done} of ${batch.agents}`,
        String(batch.attempt),
        milliseconds(batch.waited_ms),
        milliseconds(batch.took_ms),
        CAUSES[batch.cause] ?? batch.cause,
        batch.message === null ? result(batch) : { text: `${batch.result}: ${batch.message}`, tone: "bad" },
      ],
    })),
  );
  rows.failures.show(
    failures.map(({ at, count, action, queue, status, code, message }) => ({
      key: JSON.stringify([action, code, message]),
      cells: [
        clock(at),
        message ?? "–",
        action === null ? "not readable" : `${action}${count > 1 ? ", last" : ""} on ${queue ?? "no queue"}`,
        { text: `${status}: ${code}`, tone: "bad" },
        number(count),
      ],
    })),
  );
  const others = last_errors.filter(({ message }) => !batches.some((batch) => tellsOf(message, batch)));
  rows.errors.show(
    others.toReversed().map(({ at, message }) => ({ key: `${at} ${message}`, cells: [clock(at), message] })),
  );
}

/** Whether the error is that batch's, which has a row of its own. */
function tellsOf(error, { queue, action, message }) {
  return message !== null && error.startsWith(`${action} on queue ${queue}: `) && error.endsWith(`: ${message}`);
}

function result({ result, done, agents }) {
  return { text: result, tone: done === agents ? "good" : "warn" };
}

function show(status) {
  document.body.classList.remove("stale");
  queues = status.queues;
  showVerdict(status);
  showIdentity(status);
  showNow(status);
  showLinks(status);
  offer(status);
  showOutcomes(status);
  showQueues();
  showTables(status);
  plot(status.history);
}

function showSilence(last, refusal) {
  document.body.classList.add("stale");
  showWhen([]);
  const why = refusal === null ? [] : [`the worker says: ${refusal}`];
  if (last === null) {
    verdict("lost", "No word from the worker yet", why);
  } else {
    verdict("lost", "No word from the worker any more", [`what is shown is as of ${clock(last)}; trying on`, ...why]);
  }
}

place("queue-filter").addEventListener("input", showQueues);
follow(show, showSilence);
