// Follows the worker by server-sent events, for as long as the page is looked at.

/** A word comes each second; after so many milliseconds without one, what is shown counts as old. */
const SILENCE_MS = 4000;

/** The browser comes back by itself after a lost connection, but not after it was turned away. */
const AGAIN_MS = 3000;

/**
 * @param {(status: object) => void} onStatus hears each status
 * @param {(last: Date | null, refusal: string | null) => void} onSilence hears, each second without a word, when the last
 *   one came (null if there was none yet) and why the worker sends none, if it says so
 */
export function follow(onStatus, onSilence) {
  let source = null;
  let again = 0;
  let last = null;
  let refusal = null;

  const open = () => {
    close();
    source = new EventSource("events");
    source.addEventListener("status", (event) => {
      last = Date.now();
      refusal = null;
      onStatus(JSON.parse(event.data));
    });
    source.addEventListener("error", async () => {
      if (source.readyState === EventSource.CLOSED) {
        again = setTimeout(open, AGAIN_MS);
        refusal = await askWhy();
      }
    });
  };

  const close = () => {
    clearTimeout(again);
    source?.close();
  };

  const look = () => {
    const silent = last === null || Date.now() - last >= SILENCE_MS;
    if (silent && !document.hidden) {
      onSilence(last === null ? null : new Date(last), refusal);
    }
  };

  // A page in the background holds no stream.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  setInterval(look, 1000);
  open();
}

/** Why the worker turned the stream away, in its own words, which an EventSource keeps to itself; null if it does not say. */
async function askWhy() {
  const asking = new AbortController();
  try {
    const response = await fetch("events", { signal: asking.signal });
    return response.ok ? null : (await response.json()).error;
  } catch {
    return null;
  } finally {
    // Where there is a seat by now, it is not this request that takes it.
    asking.abort();
  }
}
