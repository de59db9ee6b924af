// Acknowledges with `multiple`, up to the highest delivery below which every one is settled.

export class Acks {
  #channel;
  #settled = new Map();
  #watermark = 0;
  #received = 0;
  #isScheduled = false;
  #whenIdle = null;

  constructor(channel) {
    this.#channel = channel;
  }

  received(tag) {
    this.#received = tag;
  }

  done(tag) {
    this.#settle(tag, true);
  }

  requeue(tag) {
    this.#channel.nack(delivery(tag), false, true);
    this.#settle(tag, false);
  }

  /** Resolves once all that was received is settled. */
  idle() {
    return new Promise((resolve) => {
      this.#whenIdle = resolve;
      this.#advance();
    });
  }

  // One acknowledgement for all confirms of one read of the socket.
  #settle(tag, isDone) {
    this.#settled.set(tag, isDone);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#advance());
  }

  #advance() {
    this.#isScheduled = false;
    let acknowledged = null;
    for (let tag = this.#watermark + 1; this.#settled.has(tag); tag += 1) {
      if (this.#settled.get(tag)) acknowledged = tag;
      this.#settled.delete(tag);
      this.#watermark = tag;
    }
    if (acknowledged) this.#channel.ack(delivery(acknowledged), true);
    if (this.#watermark === this.#received) this.#whenIdle?.();
  }
}

function delivery(deliveryTag) {
  return { fields: { deliveryTag } };
}
