// As many processes of the worker as PROCESSES says; they share the call slots.

import cluster from "node:cluster";
import { settings } from "../shared/settings.mjs";

const { processes, maxInFlight } = settings;

if (!cluster.isPrimary || processes === 1) {
  await import("./worker.mjs");
} else {
  process.on("SIGTERM", () => Object.values(cluster.workers).forEach((worker) => worker.process.kill("SIGTERM")));
  cluster.on("exit", (_, code) => (process.exitCode ||= code ?? 1));
  for (let number = 0; number < processes; number += 1) {
    cluster.fork({ MAX_IN_FLIGHT: Math.max(1, Math.floor(maxInFlight / processes)) });
  }
}
