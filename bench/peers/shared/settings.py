"""The environment that every Python peer takes."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    amqp_url: str
    pbx_url: str
    jobs_queue: str
    results_exchange: str
    processes: int
    prefetch: int
    """Of each process."""
    max_agents: int
    linger: float
    """Seconds."""
    max_in_flight: int
    """Calls at a time, of all processes together."""

    @property
    def calls_per_process(self) -> int:
        return max(1, self.max_in_flight // self.processes)


def from_environment(*, linger_ms: int) -> Settings:
    """`linger_ms` is the default, which differs from peer to peer."""

    def number(name: str, otherwise: int) -> int:
        return int(os.environ.get(name) or otherwise)

    return Settings(
        amqp_url=os.environ["AMQP_URL"],
        pbx_url=os.environ["PBX_URL"].rstrip("/"),
        jobs_queue=os.environ["JOBS_QUEUE"],
        results_exchange=os.environ["RESULTS_EXCHANGE"],
        processes=number("PROCESSES", 2),
        prefetch=number("PREFETCH", 2000),
        max_agents=number("MAX_AGENTS", 50),
        linger=number("LINGER_MS", linger_ms) / 1000,
        max_in_flight=number("MAX_IN_FLIGHT", 16),
    )
