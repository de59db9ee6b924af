// The plot of jobs and outcomes per second: two lines over the last two minutes.

import { perSecond } from "./words.js";

const WIDTH = 600;
const HEIGHT = 120;
const SECONDS = 120;

/** Numbers that a scale may end with, up to a power of ten. */
const ROUND = [1, 2, 5, 10];

/** The smallest round number that is not below `most`. */
export function top(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return power * ROUND.find((round) => round * power >= most);
}

/** The path of a line through a count per second, the latest at the right. */
function line(counts, scale) {
  const points = counts.slice(-SECONDS).map((count, index, shown) => {
    const x = WIDTH - ((shown.length - 1 - index) * WIDTH) / (SECONDS - 1);
    const y = HEIGHT - (count / scale) * (HEIGHT - 4) - 1;
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return points.length > 1 ? `M${points.join("L")}` : "";
}

/** @param {{received: number[], outcomes: number[]}} history per second, oldest first */
export function plot({ received, outcomes }) {
  const most = Math.max(0, ...received, ...outcomes);
  const scale = top(most);
  document.getElementById("plot-received").setAttribute("d", line(received, scale));
  document.getElementById("plot-outcomes").setAttribute("d", line(outcomes, scale));
  document.getElementById("plot-top").textContent = `${scale} per second`;
  const label =
    `Jobs consumed: ${perSecond(received)} per second now, at most ${Math.max(0, ...received)}. ` +
    `Outcomes: ${perSecond(outcomes)} per second now, at most ${Math.max(0, ...outcomes)}.`;
  document.getElementById("plot").setAttribute("aria-label", label);
}
