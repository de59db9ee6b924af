<?php
// Sends jobs to clockout, one per PBX queue, and is sure that RabbitMQ has them.
//
//   php producer.php SHIFT ACTION QUEUE:AGENT[,AGENT...]...
//   php producer.php shift-2291 pause 10000:570,553 10001:602
//
// Ends with 0 once every job is stored in a queue. After anything else run it again with the same arguments: a job is
// known again by its job_id and not done twice.

declare(strict_types=1);

use PhpAmqpLib\Message\AMQPMessage;

require __DIR__ . '/connect.php';

const CONFIRM_SECONDS_MAX = 30;

$url = getenv('AMQP_URL') ?: 'amqp://guest:guest@127.0.0.1:5672/%2f';
$exchange = getenv('JOBS_EXCHANGE') ?: 'clockout.jobs';

if ($argc < 4) {
    fwrite(STDERR, "usage: producer.php SHIFT ACTION QUEUE:AGENT[,AGENT...]...\n");
    exit(2);
}
[, $shift, $action] = $argv;
$orders = array_slice($argv, 3);

function makeJob(string $shift, string $action, string $order): array
{
    [$queue, $agents] = explode(':', $order);
    return [
        'job_id' => "$shift/$queue/$action",
        'correlation_id' => $shift,
        'action' => $action,
        'queue' => $queue,
        'agents' => explode(',', $agents),
        'reason' => 'shift end',
        // Later than this it would hit the next shift.
        'expires_at' => (new DateTimeImmutable('+10 minutes'))->format(DATE_RFC3339),
    ];
}

$connection = connect($url);
$channel = $connection->channel();

$refused = [];
$channel->set_return_listener(
    function (int $code, string $text, string $exchange, string $key, AMQPMessage $message) use (&$refused): void {
        $refused[$message->get('message_id')] = 'returned, no queue takes it';
    }
);
$channel->set_nack_handler(function (AMQPMessage $message) use (&$refused): void {
    $refused[$message->get('message_id')] = 'RabbitMQ could not store it';
});
$channel->confirm_select();

foreach ($orders as $order) {
    $job = makeJob($shift, $action, $order);
    $message = new AMQPMessage(json_encode($job, JSON_THROW_ON_ERROR), [
        'message_id' => $job['job_id'],
        'content_type' => 'application/json',
        'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
    ]);
    $channel->basic_publish($message, $exchange, $job['queue'], mandatory: true);
}
// Throws if a confirm is still owed by then.
$channel->wait_for_pending_acks_returns(CONFIRM_SECONDS_MAX);
$connection->close();

foreach ($refused as $id => $why) {
    fwrite(STDERR, "$id: $why\n");
}
printf("confirmed: %d of %d jobs\n", count($orders) - count($refused), count($orders));
exit($refused ? 1 : 0);
