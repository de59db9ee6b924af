"""Draws the pictures of pages such as docs/performance.md and fills in their tables, from what was measured.

    plots.py RESULTS PAGE.md…

RESULTS is a folder: soak.json if there was one, and any other JSON file is of the suite, whole or in parts. A picture is drawn where a page
refers to it as FOLDER/PART.svg, in a folder beside the page that is named like it. A table stands in the page between two comments:
`<!-- drain · runs of 500 -->` and `<!-- end -->`; the first names a part and a table of the results. `<!-- origin · drain -->` tells where and when
that part was measured, `<!-- commands · drain · runs of 500 -->` what ran for each row, `<!-- processors · runs of 500 -->` where the processors' time went
in a table of drain, and `<!-- defaults -->` what other settings made of it.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("svg")
# Text stays text, and a run of the same figures draws the same bytes.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "clockout", "font.size": 9, "figure.dpi": 100})

from matplotlib import pyplot  # noqa: E402  the backend is chosen first

OURS, THEIRS, LEAST = "#1a7f64", "#9aa5b1", "#c9a227"

# Figure, heading, digits; a column without a figure in any row of a table is left out.
COLUMNS = [
    ("jobs_per_second", "jobs/s", 0),
    ("agents_per_second", "agents/s", 0),
    ("to_floor", "of the floor", 2),
    ("clockout_times", "clockout is times", 2),
    ("p50_ms", "p50 ms", 1),
    ("p90_ms", "p90 ms", 1),
    ("p99_ms", "p99 ms", 1),
    ("max_ms", "max ms", 1),
    ("p99_to_well", "p99, of all well", 2),
    ("seconds", "seconds to the last agent", 2),
    ("to_well", "of all well", 2),
    ("to_defaults", "of defaults", 2),
    ("start_ms", "ms to consuming", 0),
    ("worker_cpu_ms_per_1000", "worker CPU ms/1000", 1),
    ("cpu_to_floor", "of the floor's", 2),
    ("cpu_relative", "of the base's", 2),
    ("broker_cpu_ms_per_1000", "broker CPU ms/1000", 1),
    ("calls_per_second", "calls/s", 1),
    ("agents_per_call", "agents per call", 1),
    ("calls", "calls", 0),
    ("peak_mib", "peak MiB", 1),
]

# Whose share of the processors is told.
ACCOUNTED = [("floor", "whole"), ("clockout", "PBX 0 ms"), ("clockout", "PBX 5 ms"), ("node-amqplib", "PBX 5 ms")]


def main(results, *pages):
    read = {path.stem: json.loads(path.read_text()) for path in sorted(Path(results).glob("*.json"))}
    soak = read.pop("soak", None)
    suites = list(read.values())
    rows = [row for suite in suites for row in suite["rows"]]
    measured = Counter(tuple(row[key] for key in ("part", "table", "who", "case")) for row in rows)
    if twice := [row for row, times in measured.items() if times > 1]:
        sys.exit(f"in two files of {results}: {twice}")
    for page in map(Path, pages):
        text = page.read_text()
        folder = page.with_suffix("")
        for part, draw in DRAWN.items():
            if f"({folder.name}/{part}.svg)" in text:
                folder.mkdir(exist_ok=True)
                save(draw(soak if part == "soak" else rows), folder / f"{part}.svg")
        page.write_text(filled(text, suites, rows, soak))


def save(figure, path):
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")


def drain(rows):
    """Jobs per second of every row, as a share of the floor of the same round."""
    tables = names(rows, "drain")
    figure, axes = pyplot.subplots(1, len(tables), figsize=(9, 3.2), sharex=True)
    for axis, table in zip(axes, tables):
        bars = [row for row in of(rows, "drain", table) if row["who"] != "floor" or row["case"] == "whole"]
        bars.sort(key=lambda row: row["figures"]["to_floor"]["median"])
        labels = [f"{row['who']}, {row['case']}" for row in bars]
        spread(axis.barh, bars, "to_floor", labels, horizontal=True)
        axis.axvline(1, color=LEAST, linewidth=1)
        axis.set_title(f"jobs/s, {table}; floor = 1")
    figure.tight_layout()
    return figure


def latency(rows):
    (table,) = names(rows, "latency")
    bars = of(rows, "latency", table)
    figure, axis = pyplot.subplots(figsize=(9, 3))
    labels = [f"{row['who']}, {row['case']}" for row in bars]
    for offset, (name, shade) in enumerate([("p50_ms", 1.0), ("p90_ms", 0.6), ("p99_ms", 0.3)]):
        values = [row["figures"][name]["median"] for row in bars]
        positions = [place + (offset - 1) * 0.27 for place in range(len(bars))]
        axis.barh(positions, values, height=0.25, color=colours(bars), alpha=shade, label=name.removesuffix("_ms"))
    axis.set_yticks(range(len(bars)), labels)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlabel(f"ms from due to outcome received ({table}); dark p50, pale p99")
    figure.tight_layout()
    return figure


def shift_end(rows):
    tables = names(rows, "shift-end")
    figure, axes = pyplot.subplots(1, len(tables), figsize=(9, 4.2), sharey=True, squeeze=False)
    for axis, table in zip(axes[0], tables):
        bars = of(rows, "shift-end", table)
        spread(axis.barh, bars, "seconds", [row["case"] for row in bars], horizontal=True)
        axis.invert_yaxis()
        axis.set_title(table, fontsize=8)
        axis.set_xlabel("s to the last agent")
    figure.tight_layout()
    return figure


def growth(rows):
    tables = names(rows, "growth")
    figure, axes = pyplot.subplots(2, len(tables), figsize=(9, 4.2), sharey="row", squeeze=False)
    for column, table in enumerate(tables):
        bars = of(rows, "growth", table)
        labels = [row["case"] for row in bars]
        for line, (name, title) in enumerate(
            [("worker_cpu_ms_per_1000", "worker CPU, ms per 1,000 agents"), ("peak_mib", "peak memory, MiB")]
        ):
            spread(axes[line][column].bar, bars, name, labels)
            axes[line][0].set_ylabel(title, fontsize=8)
        axes[1][column].set_xlabel(table)
        axes[1][column].axhline(64, color=LEAST, linewidth=1)
    figure.tight_layout()
    return figure


def curves(rows):
    """Calls per second above latency, for each setting."""
    tables = names(rows, "curves")
    figure, axes = pyplot.subplots(2, len(tables), figsize=(9, 4.6), sharex="col", sharey="row", squeeze=False)
    for (above, below), table in zip(axes.T, tables):
        line = of(rows, "curves", table)
        setting, _, circumstances = table.partition(": ")
        curve(above, line, "calls_per_second", OURS)
        curve(below, line, "p99_ms", THEIRS, "p99")
        curve(below, line, "p50_ms", OURS, "p50")
        above.set_title(circumstances.replace(", ", "\n", 1), fontsize=8)
        for axis in (above, below):
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter("{x:,g}")
        below.set_xlabel(setting)
    axes[0][0].set_ylabel("calls/s")
    axes[1][0].set_ylabel("ms from due to outcome")
    axes[1][0].legend(frameon=False)
    figure.tight_layout()
    return figure


def curve(axis, rows, name, colour, label=None):
    """Medians as a line, with the range of all rounds as a band."""
    cases = [row["case"] for row in rows]
    figures = [row["figures"][name] for row in rows]
    axis.plot(cases, [figure["median"] for figure in figures], color=colour, marker="o", markersize=3, label=label)
    least, most = ([figure[end] for figure in figures] for end in ("least", "most"))
    axis.fill_between(cases, least, most, color=colour, alpha=0.2, linewidth=0)


def drawn_soak(soak):
    figure, axes = pyplot.subplots(3, 1, figsize=(9, 4.2), sharex=True)
    minutes = [look["seconds"] / 60 for look in soak["looks"]]
    for axis, (name, title) in zip(axes, [("memory_mib", "resident MiB"), ("handles", "handles"), ("tasks", "tasks")]):
        axis.plot(minutes, [look[name] for look in soak["looks"]], color=OURS, linewidth=1)
        axis.set_ylabel(title)
        axis.set_ylim(bottom=0)
    axes[-1].set_xlabel("minutes")
    figure.tight_layout()
    return figure


def spread(draw, rows, name, labels, horizontal=False):
    """Medians as bars, with the range of all rounds."""
    figures = [row["figures"][name] for row in rows]
    medians = [figure["median"] for figure in figures]
    below = [figure["median"] - figure["least"] for figure in figures]
    above = [figure["most"] - figure["median"] for figure in figures]
    errors = {("xerr" if horizontal else "yerr"): [below, above]}
    draw(labels, medians, color=colours(rows), ecolor="#333", error_kw={"linewidth": 0.8}, **errors)


def colours(rows):
    return [{"clockout": OURS, "floor": LEAST}.get(row["who"], THEIRS) for row in rows]


def names(rows, part):
    return list(dict.fromkeys(row["table"] for row in rows if row["part"] == part))


def of(rows, part, table):
    return [row for row in rows if (row["part"], row["table"]) == (part, table)]


def filled(text, suites, rows, soak):
    def fill(match):
        part, _, table = match[1].partition(" · ")
        if part == "origin":
            body = origin(next(suite for suite in suites if names(suite["rows"], table)))
        elif part == "soak":
            body = soaked(soak)
        elif part == "commands":
            body = commands(of(rows, *table.split(" · ", 1)))
        elif part == "defaults":
            body = defaults(rows)
        elif part == "processors":
            body = processors(next(suite for suite in suites if names(suite["rows"], "drain")), table)
        else:
            body = table_of(of(rows, part, table)) or sys.exit(f"no results for: {match[1]}")
        return f"<!-- {match[1]} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- (?!end)([^>]+?) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def origin(suite):
    machine = suite["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in suite["versions"].items())
    return (
        f"Measured on {suite['date'][:10]}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}, broker and PBX on the same machine; {versions}."
    )


def commands(rows):
    """What ran for each row, addresses left out; of rows with the same command, one line."""
    lines = dict.fromkeys(row["command"] for row in rows)
    return "\n".join(["```text", *lines, "```"])


def defaults(rows):
    """The settings that bound throughput, beside the defaults: medians."""
    lines = [
        ["calls at a time", "prefetch", "agents a call, at most", "runs: jobs/s", "interleaved: jobs/s", "agents per call", "peak MiB"],
        ["--:"] * 7,
    ]
    tables = names(rows, "drain")
    for case, calls, prefetch, most in [
        ("PBX 5 ms, 4 calls, prefetch 2000", 4, 2000, 50),
        ("PBX 5 ms, 8 calls, prefetch 2000", 8, 2000, 50),
        ("PBX 5 ms, 4 calls, prefetch 4000", 4, 4000, 50),
        ("PBX 5 ms", 8, 4000, 50),
        ("PBX 5 ms, set for a slow one", 16, 5000, 100),
    ]:
        runs, interleaved = (
            next(row for row in of(rows, "drain", table) if (row["who"], row["case"]) == ("clockout", case))["figures"]
            for table in tables
        )
        values = [
            f"{runs['jobs_per_second']['median']:,.0f}",
            f"{interleaved['jobs_per_second']['median']:,.0f}",
            f"{interleaved['agents_per_call']['median']:.1f}",
            f"{max(runs['peak_mib']['median'], interleaved['peak_mib']['median']):.0f}",
        ]
        line = [f"{calls}", f"{prefetch:,}", f"{most}", *values]
        lines.append([f"**{value}**" for value in line] if case == "PBX 5 ms" else line)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def processors(suite, table):
    """Milliseconds of all processors for 1,000 jobs, and who had them: medians, so they add up nearly."""
    parts = [(f"{part.lower()}_cpu_ms_per_1000", part) for part in ("worker", "broker", "PBX")]
    parts += [("disk_ms_per_1000", "idle, for a disk"), ("idle_ms_per_1000", "idle")]
    head = ["", "", "in all", *(title for _, title in parts), "the rest"]
    lines = [head, ["---"] * 2 + ["--:"] * (len(head) - 2)]
    for row in of(suite["rows"], "drain", table):
        medians = {name: figure["median"] for name, figure in row["figures"].items()}
        if (row["who"], row["case"]) not in ACCOUNTED:
            continue
        every = 1e6 * suite["machine"]["cores"] / medians["jobs_per_second"]
        spent = [medians.get(name, 0) for name, _ in parts]
        cells = [every, *spent, every - sum(spent)]
        lines.append([row["who"], row["case"], *(f"{value:.1f}" for value in cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def soaked(soak):
    told = soak["told"]
    lines = [
        f"{told['jobs']:,} jobs, {told['outcomes']:,} outcomes ({told['outcomes_owed']:,} owed); "
        f"jobs untold: {told['untold']}, told more often than owed: {told['overtold']}"
    ]
    for name, title in [("memory_mib", "resident MiB"), ("handles", "file handles"), ("tasks", "tasks")]:
        trend = soak[name]
        lines.append(
            f"{title}, second half: mean {trend['mean']:.1f} ({trend['least']:.1f}–{trend['most']:.1f}), "
            f"trend {trend['per_hour']:+.2f} an hour"
        )
    return "\n".join(f"- {line}" for line in lines)


def table_of(rows):
    columns = [column for column in COLUMNS if any(column[0] in row["figures"] for row in rows)]
    # Where every job has one agent, the two rates are one; what counts no agents has none to tell.
    both = [(row["figures"].get("agents_per_second"), row["figures"].get("jobs_per_second")) for row in rows]
    one_each = all(agents in (None, jobs) for agents, jobs in both)
    columns = [column for column in columns if column[0] != "agents_per_second" or not one_each]
    # Nobody needs to be told who it is where there is only one.
    keys = ["who", "case"] if len({row["who"] for row in rows}) > 1 else ["case"]
    head = [""] * len(keys) + [heading for _, heading, _ in columns]
    lines = [head, ["---"] * len(keys) + ["--:"] * len(columns)]
    for row in rows:
        lines.append([row[key] for key in keys] + [cell(row["figures"].get(name), digits) for name, _, digits in columns])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else ""


def cell(figure, digits):
    if figure is None:
        return ""
    median, least, most = (f"{figure[key]:,.{digits}f}" for key in ("median", "least", "most"))
    return median if least == most else f"**{median}** ({least}–{most})"


DRAWN = {
    "drain": drain,
    "latency": latency,
    "shift-end": shift_end,
    "growth": growth,
    "curves": curves,
    "soak": drawn_soak,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
