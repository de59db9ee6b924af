// The plot of jobs and outcomes per second: two lines over the last two minutes, or over what there is of them yet.

import { perSecond, seconds } from "./words.js";

const WIDTH = 600;
const HEIGHT = 120;

/** Seconds that the plot shows at least, so that a young one does not leap. */
const SECONDS_MIN = 10;

/** Numbers that a scale may end with, up to a power of ten. */
const ROUND = [1, 2, 5, 10];

/** The smallest round number that is not below `most`. */
export function top(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return power * ROUND.find((round) => round * power >= most);
}

/** The path of a line through a count per second, the latest at the right. */
function line(counts, scale, shown) {
  const points = counts.map((count, index) => {
    const x = WIDTH - ((counts.length - 1 - index) * WIDTH) / (shown - 1);
    const y = HEIGHT - (count / scale) * (HEIGHT - 4) - 1;
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return points.length > 1 ? `M${points.join("L")}` : "";
}

/** @param {{received: number[], outcomes: number[]}} history per second, oldest first */
export function plot({ received, outcomes }) {
  const most = Math.max(0, ...received, ...outcomes);
  const scale = top(most);
  const shown = Math.max(received.length, SECONDS_MIN);
  document.getElementById("plot-received").setAttribute("d", line(received, scale, shown));
  document.getElementById("plot-outcomes").setAttribute("d", line(outcomes, scale, shown));
  document.getElementById("plot-top").textContent = `${scale} per second`;
  document.getElementById("plot-from").textContent = `${seconds(shown)} ago`;
  const idle = document.getElementById("plot-idle");
  idle.hidden = most > 0 || received.length === 0;
  idle.textContent = `nothing in the last ${seconds(received.length)}`;
  const label =
    `Jobs consumed: ${perSecond(received)} per second now, at most ${Math.max(0, ...received)}. ` +
    `Outcomes: ${perSecond(outcomes)} per second now, at most ${Math.max(0, ...outcomes)}.`;
  document.getElementById("plot").setAttribute("aria-label", label);
}
