// The environment that every Node peer takes.

export const settings = {
  amqpUrl: word("AMQP_URL"),
  pbxUrl: word("PBX_URL"),
  jobsQueue: word("JOBS_QUEUE"),
  resultsExchange: word("RESULTS_EXCHANGE"),
  prefetch: number("PREFETCH", 2000),
  maxAgents: number("MAX_AGENTS", 50),
  lingerMs: number("LINGER_MS", 0),
  maxInFlight: number("MAX_IN_FLIGHT", 16),
};

function word(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

function number(name, otherwise) {
  const value = Number(process.env[name] || otherwise);
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} is no whole number`);
  return value;
}
