// Numbers and times in words.

/** Seconds that a rate is the mean of; after as many without a job the verdict says no more that jobs flow. */
const RATE_SECONDS = 5;

const NUMBER = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat([], { dateStyle: "medium" });

export function number(count) {
  return NUMBER.format(count);
}

/** The mean of the latest seconds. */
export function perSecond(counts) {
  const latest = counts.slice(-RATE_SECONDS);
  const sum = latest.reduce((sum, count) => sum + count, 0);
  const mean = latest.length === 0 ? 0 : sum / latest.length;
  return mean < 10 && !Number.isInteger(mean) ? mean.toFixed(1) : number(Math.round(mean));
}

/** A time, as RFC 3339 or a date, in the reader's own time zone; with its day, if that is not today. */
export function clock(time) {
  const then = new Date(time);
  const today = then.toDateString() === new Date().toDateString();
  return today ? TIME.format(then) : `${DAY.format(then)}, ${TIME.format(then)}`;
}

/** Seconds since a time; none since one that is yet to come by the reader's clock. */
export function age(time) {
  return Math.max(0, Math.floor((Date.now() - new Date(time)) / 1000));
}

/** How long ago that is; no finer than a minute, as it is read and not measured. */
export function ago(count) {
  return count < 60 ? "within the last minute" : `${seconds(count)} ago`;
}

export function milliseconds(ms) {
  if (ms < 1000) {
    return `${ms} ms`;
  }
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : seconds(Math.round(ms / 1000));
}

/** Two units at most: `3 h 12 min`. */
export function seconds(count) {
  const units = [
    [86_400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([size]) => count >= size);
  if (first < 0) {
    return "0 s";
  }
  const [size, unit] = units[first];
  const words = [`${Math.floor(count / size)} ${unit}`];
  const [smaller, smallerUnit] = units[first + 1] ?? [0, ""];
  const rest = smaller === 0 ? 0 : Math.floor((count % size) / smaller);
  if (rest > 0) {
    words.push(`${rest} ${smallerUnit}`);
  }
  return words.join(" ");
}

export function plural(count, one, many) {
  return `${number(count)} ${count === 1 ? one : many}`;
}
