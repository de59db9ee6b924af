// Gathers jobs per queue and action, and sends them in calls of at most `maxAgents`, at most `maxInFlight` at a time.
// A batch that waits for a free call slot keeps growing.

export class Batches {
  #open = new Map();
  #due = [];
  #inFlight = 0;
  #settings;
  #send;

  /** `send` is given a batch and resolves when its call has ended, well or not. */
  constructor(settings, send) {
    this.#settings = settings;
    this.#send = send;
  }

  add(job) {
    const key = `${job.action} ${job.queue}`;
    let batch = this.#open.get(key);
    if (!batch) {
      batch = { key, action: job.action, queue: job.queue, jobs: [], isDue: false };
      this.#open.set(key, batch);
      this.#linger(batch);
    }
    batch.jobs.push(job);
    if (batch.jobs.length >= this.#settings.maxAgents) {
      this.#open.delete(key);
      this.#makeDue(batch);
    }
  }

  flush() {
    for (const batch of this.#open.values()) this.#makeDue(batch);
  }

  #linger(batch) {
    const { lingerMs } = this.#settings;
    // Without a linger, what came in the same read of the socket still gathers.
    if (lingerMs === 0) setImmediate(() => this.#makeDue(batch));
    else batch.timer = setTimeout(() => this.#makeDue(batch), lingerMs);
  }

  #makeDue(batch) {
    if (batch.isDue) return;
    batch.isDue = true;
    clearTimeout(batch.timer);
    this.#due.push(batch);
    this.#fillSlots();
  }

  #fillSlots() {
    while (this.#inFlight < this.#settings.maxInFlight && this.#due.length > 0) {
      const batch = this.#due.shift();
      if (this.#open.get(batch.key) === batch) this.#open.delete(batch.key);
      this.#inFlight += 1;
      this.#send(batch).finally(() => {
        this.#inFlight -= 1;
        this.#fillSlots();
      });
    }
  }
}
