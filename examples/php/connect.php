<?php
// What producer and consumer share: the library, and a connection by URL.

declare(strict_types=1);

use PhpAmqpLib\Connection\AbstractConnection;
use PhpAmqpLib\Connection\AMQPConnectionConfig;
use PhpAmqpLib\Connection\AMQPConnectionFactory;

// From composer, or from Debian's package php-amqplib.
$composed = __DIR__ . '/vendor/autoload.php';
require is_file($composed) ? $composed : 'PhpAmqpLib/autoload.php';

/** amqp://user:password@host:port/vhost, amqps:// with TLS. */
function connect(string $url): AbstractConnection
{
    $parts = parse_url($url);
    $config = new AMQPConnectionConfig();
    $config->setHost($parts['host']);
    $config->setPort($parts['port'] ?? ($parts['scheme'] === 'amqps' ? 5671 : 5672));
    $config->setUser(rawurldecode($parts['user'] ?? 'guest'));
    $config->setPassword(rawurldecode($parts['pass'] ?? 'guest'));
    $config->setVhost(rawurldecode(substr($parts['path'] ?? '/%2f', 1)));
    $config->setIsSecure($parts['scheme'] === 'amqps');
    return AMQPConnectionFactory::create($config);
}
