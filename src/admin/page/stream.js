// Follows the worker by server-sent events, for as long as the page is looked at.

/** A word comes each second; after so many milliseconds without one, what is shown counts as old. */
const SILENCE_MS = 4000;

/** The browser comes back by itself after a lost connection, but not after it was turned away. */
const AGAIN_MS = 3000;

/**
 * @param {(status: object) => void} onStatus hears each status
 * @param {(last: Date | null) => void} onSilence hears, each second without a word, when the last one came; null if there
 *   was none yet
 */
export function follow(onStatus, onSilence) {
  let source = null;
  let again = 0;
  let last = null;

  const open = () => {
    close();
    source = new EventSource("events");
    source.addEventListener("status", (event) => {
      last = Date.now();
      onStatus(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) {
        again = setTimeout(open, AGAIN_MS);
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
      onSilence(last === null ? null : new Date(last));
    }
  };

  // A page in the background holds no stream.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  setInterval(look, 1000);
  open();
}
