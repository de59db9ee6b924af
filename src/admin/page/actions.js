// Has the worker do something, for a reader who knows the token.

import { say } from "./rows.js";

const section = document.getElementById("actions");
const form = document.getElementById("actions-form");
const word = document.getElementById("actions-word");

/** Offers what makes sense now; nothing, where the worker's settings allow nothing. */
export function offer({ actions, paused, breaker }) {
  section.hidden = !actions;
  const { pause, resume, close } = form.elements;
  pause.disabled = paused;
  resume.disabled = !paused;
  close.disabled = !breaker.open;
}

async function ask(order) {
  const { who, token, queue } = form.elements;
  const response = await fetch(`actions/${order}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token.value}`, "Content-Type": "application/json" },
    body: JSON.stringify({ who: who.value, queue: queue.value || null }),
  });
  return response.json();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  say(word, "Asking …");
  try {
    const { done, error } = await ask(event.submitter.value);
    say(word, done ?? error, done === undefined ? "bad" : "good");
  } catch (failure) {
    say(word, `Not asked: ${failure.message}`, "bad");
  }
});
