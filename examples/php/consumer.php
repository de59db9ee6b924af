<?php
// Hears from clockout what became of each agent, on a durable queue of its own.
//
//   php consumer.php QUEUE PATTERN [COUNT]
//   php consumer.php crm.outcomes '*.failed.#'
//
// PATTERN is held against <action>.<status>.<pbx>.<queue>. Ends after COUNT outcomes, or never. What comes while it is not
// running waits in the queue.

declare(strict_types=1);

use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

require __DIR__ . '/connect.php';

const PREFETCH = 100;
const REMEMBERED = 10_000;

$url = getenv('AMQP_URL') ?: 'amqp://guest:guest@127.0.0.1:5672/%2f';
$exchange = getenv('RESULTS_EXCHANGE') ?: 'clockout.results';

if ($argc < 3) {
    fwrite(STDERR, "usage: consumer.php QUEUE PATTERN [COUNT]\n");
    exit(2);
}
[, $queue, $pattern] = $argv;
$count = (int) ($argv[3] ?? PHP_INT_MAX);

/** Here goes what you do with it. If it throws, nothing is acknowledged, and RabbitMQ delivers the outcome again. */
function handle(array $outcome): void
{
    printf(
        "%s %s/%s: %s, %s: %s\n",
        $outcome['action'],
        $outcome['queue'],
        $outcome['agent'],
        $outcome['status'],
        $outcome['code'],
        $outcome['message']
    );
}

// An outcome can come twice, with the same id. A database with a unique key remembers longer than this does.
$seen = [];
$handled = 0;

$connection = connect($url);
$channel = $connection->channel();
$arguments = new AMQPTable(['x-queue-type' => 'quorum']);
$channel->queue_declare($queue, durable: true, auto_delete: false, arguments: $arguments);
$channel->queue_bind($queue, $exchange, $pattern);
$channel->basic_qos(0, PREFETCH, false);

$take = function (AMQPMessage $message) use (&$seen, &$handled): void {
    $outcome = json_decode($message->getBody(), true, flags: JSON_THROW_ON_ERROR);
    if (!isset($seen[$outcome['outcome_id']])) {
        handle($outcome);
        $handled += 1;
        $seen[$outcome['outcome_id']] = true;
        if (count($seen) > REMEMBERED) {
            unset($seen[array_key_first($seen)]);
        }
    }
    // Only now: what is not acknowledged comes again.
    $message->ack();
};
$channel->basic_consume($queue, callback: $take);
echo "listening\n";
while ($handled < $count) {
    $channel->wait();
}
$connection->close();
