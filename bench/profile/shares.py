#!/usr/bin/env python3
"""Says where the worker's processor time went, from perf's samples:

    shares.py SAMPLES…

Each sample goes to the item that its innermost known function belongs to; what lapin's threads do goes to lapin.
"""

import re
import subprocess
import sys
from collections import Counter

# From the inside out the first function that one of these knows decides; of two that know it, the upper one.
ITEMS = {
    "engine": r"clockout::engine\b",
    "an outcome to JSON": r"clockout::wire::(outcome|envelope)",
    "a job from JSON": r"clockout::wire::job",
    "properties and headers": r"clockout::wire\b",
    "reading the PBX's replies": r"clockout::pbx::(reply|verdict)",
    "PBX calls: reqwest, hyper, sockets": r"clockout::pbx\b|reqwest::|hyper(_util)?::|h2::|tower",
    "publishing: into lapin's queue, confirms out of it": r"clockout::broker::(publish|outbox|confirm)",
    "acknowledgements": r"clockout::broker::receipt",
    "taking deliveries over": r"clockout::broker::intake",
    "the broker side's loop": r"clockout::broker\b",
    "metrics, log, page": r"clockout::(telemetry|admin|status)\b|tracing",
    "the worker's loop": r"clockout::worker\b",
    "waiting, waking, timers": r"tokio::",
}
KNOWN = [(item, re.compile(pattern)) for item, pattern in ITEMS.items()]
# The thread that everything but lapin's two loops runs on; perf does not always learn the names of the others.
WORKER = "clockout"
LAPIN = "lapin's threads: frames"
LAPIN_WAITS = "lapin's threads: sockets, waiting, switching"
REST = "the rest"


def stacks(samples):
    """Each sample's thread, and its functions from the inside out."""
    command = ["perf", "script", "--input", samples, "--fields", "comm,ip,sym", "--no-inline"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for sample in text.split("\n\n"):
        thread, *frames = sample.strip("\n").split("\n")
        if thread:
            yield thread.strip(), [frame.split(maxsplit=1)[-1] for frame in frames]


def item(thread, functions):
    if thread != WORKER:
        kernel = any("sys_" in function or "schedule" in function for function in functions)
        return LAPIN_WAITS if kernel else LAPIN
    for function in functions:
        for name, pattern in KNOWN:
            if pattern.search(function):
                return name
    return REST


def main():
    for samples in sys.argv[1:]:
        counts = Counter(item(*sample) for sample in stacks(samples))
        print(f"{samples}: {counts.total()} samples\n")
        for name, count in counts.most_common():
            print(f"| {name} | {100 * count / counts.total():.1f} |")
        print()


main()
