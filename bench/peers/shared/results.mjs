// Publishes outcomes: persistent, mandatory, confirmed.

export class Results {
  #channel;
  #exchange;
  #returned = new Set();

  static async open(connection, exchange) {
    return new Results(await connection.createConfirmChannel(), exchange);
  }

  constructor(channel, exchange) {
    this.#channel = channel;
    this.#exchange = exchange;
    // The broker returns a message before it confirms it.
    channel.on("return", ({ properties }) => this.#returned.add(properties.messageId));
  }

  /** Resolves once the broker has the outcome in a queue. */
  publish({ routingKey, body, properties }) {
    return new Promise((resolve, reject) => {
      this.#channel.publish(this.#exchange, routingKey, body, properties, (refused) => {
        if (refused) reject(refused);
        else if (this.#returned.delete(properties.messageId)) reject(new Error(`${routingKey} is unroutable`));
        else resolve();
      });
    });
  }
}
