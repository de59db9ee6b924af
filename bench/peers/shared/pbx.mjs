// Batch calls to the PBX.

import { Pool } from "undici";

const SERVICES = { pause: "batchpauseagent", remove: "batchremoveagent" };
const HEADERS = { "content-type": "application/json" };

export class Pbx {
  #pool;

  constructor(url, connections) {
    this.#pool = new Pool(url, { connections });
  }

  /** What the PBX says of each agent, by agent. */
  async call(action, queue, agents) {
    const { statusCode, body } = await this.#pool.request({
      method: "POST",
      path: `/api/v4/pbx/queues/${SERVICES[action]}`,
      headers: HEADERS,
      body: JSON.stringify({ agents: agents.map((agent) => ({ queue, agent })) }),
    });
    if (statusCode !== 200) {
      await body.dump();
      throw new Error(`the PBX answered ${statusCode}`);
    }
    const reply = await body.json();
    return new Map(reply.data.Data.map((item) => [item.agent, item]));
  }

  close() {
    return this.#pool.close();
  }
}
