// Has the worker do something, for a reader who knows the token.

import { say } from "./rows.js";

const section = document.getElementById("actions");
/** Who asks, and buttons; with none that submits, Enter in its fields does nothing. */
const asker = document.getElementById("asker");
/** Apart, so that Enter in its field means what its one button does. */
const flush = document.getElementById("flush");
const word = document.getElementById("actions-word");

/** Offers what makes sense now; nothing, where the worker's settings allow nothing. */
export function offer({ actions, paused, breaker }) {
  section.hidden = !actions;
  const { pause, resume, close } = asker.elements;
  pause.disabled = paused;
  resume.disabled = !paused;
  close.disabled = !breaker.open;
}

async function request(order, queue) {
  const { who, token } = asker.elements;
  const response = await fetch(`actions/${order}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token.value}`, "Content-Type": "application/json" },
    body: JSON.stringify({ who: who.value, queue }),
  });
  return response.json();
}

/** @param {string | null} queue the PBX queue, where the order is about one */
async function ask(order, queue = null) {
  if (!asker.reportValidity()) {
    return;
  }
  say(word, "Asking …");
  try {
    const { done, error } = await request(order, queue);
    say(word, done ?? error, done === undefined ? "bad" : "good");
  } catch (failure) {
    // The browser does not tell a request that never went from an answer that never came.
    say(word, `No answer, so it is not known whether it was done: ${failure.message}`, "bad");
  }
}

asker.addEventListener("click", ({ target }) => {
  if (target instanceof HTMLButtonElement) {
    ask(target.value);
  }
});

flush.addEventListener("submit", (event) => {
  event.preventDefault();
  ask("flush", flush.elements.queue.value);
});
