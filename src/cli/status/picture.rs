//! A worker's status for the eye: how it stands in a few lines, then tables of its PBX queues, failures and errors.
//!
//! Shares out the lines of a terminal; in a pipe everything is shown. Knows what stands where, not what it means.

use std::io;

use anstream::adapter::strip_str;

use super::report::Report;
use crate::cli::terminal::{self, Cell, Size, Table, Tone};

/// Rows of failures, and of errors, at most.
const TROUBLES_MAX: usize = 5;

/// Lines for the PBX queues that troubles do not take: five rows in their frame, and how many are left out.
const QUEUES_LINES_MIN: u16 = 10;

/// All of it, to standard output.
pub(super) fn print(report: &Report) -> io::Result<()> {
    terminal::print(&report.head())?;
    print_if_any(&busiest(report))?;
    print_if_any(&failures(report))?;
    print_if_any(&errors(report))
}

fn print_if_any<const N: usize>(table: &Table<N>) -> io::Result<()> {
    if table.is_empty() {
        return Ok(());
    }
    table.print()
}

/// What has room, for a terminal.
pub(super) fn fitted(report: &Report, room: Size) -> String {
    let Size { columns, lines } = room;
    let mut picture = report.head();
    let left = |picture: &str| lines.saturating_sub(height(picture, columns));
    let at_most = |lines| Size { columns, lines };
    let (queues, failures, errors) = (busiest(report), failures(report), errors(report));
    let troubles = failures.fitted(TROUBLES_MAX, at_most(u16::MAX))
        + &errors.fitted(TROUBLES_MAX, at_most(u16::MAX));
    let for_queues = left(&picture)
        .saturating_sub(height(&troubles, columns))
        .max(QUEUES_LINES_MIN)
        .min(left(&picture));
    picture += &queues.fitted(usize::MAX, at_most(for_queues));
    // Errors that find no room are to be counted at least.
    let for_failures = left(&picture).saturating_sub(u16::from(!errors.is_empty()));
    picture += &failures.fitted(TROUBLES_MAX, at_most(for_failures));
    picture += &errors.fitted(TROUBLES_MAX, at_most(left(&picture)));
    picture
}

/// Lines that a text takes where long ones are wrapped.
fn height(text: &str, columns: u16) -> u16 {
    let lines = text.lines().map(|line| {
        let chars = strip_str(line).to_string().chars().count();
        chars.div_ceil(usize::from(columns.max(1))).max(1)
    });
    u16::try_from(lines.sum::<usize>()).unwrap_or(u16::MAX)
}

fn busiest(report: &Report) -> Table<4> {
    let mut table = Table::new(["PBX queue", "waiting", "of them retrying", "under way"]);
    for queue in &report.queues {
        table.add([
            Cell::text(&queue.number),
            Cell::number(queue.waiting),
            Cell::number(queue.retrying),
            Cell::number(queue.in_flight),
        ]);
    }
    table
}

fn failures(report: &Report) -> Table<5> {
    let mut table = Table::new(["last failed", "times", "job", "code", "message"]);
    for failure in &report.failures {
        let job = match (&failure.action, &failure.queue) {
            (Some(action), Some(queue)) if failure.count > 1 => {
                format!("{action}, last on {queue}")
            }
            (Some(action), Some(queue)) => format!("{action} on {queue}"),
            _ => "not readable".to_owned(),
        };
        table.add([
            Cell::text(&failure.at),
            Cell::number(failure.count),
            Cell::text(&job),
            Cell::text(&failure.code).toned(Tone::Bad),
            Cell::text(failure.message.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

fn errors(report: &Report) -> Table<2> {
    let mut table = Table::new(["last error", ""]);
    for error in &report.last_errors {
        table.add([Cell::text(&error.at), Cell::text(&error.message)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: &str = "2026-11-22T12:20:18.573Z";

    fn report(queues: usize, failures: usize, errors: usize) -> Report {
        let queue =
            |n: usize| json!({"queue": n.to_string(), "waiting": 1, "in_flight": 0, "retrying": 0});
        let failure = |n: usize| {
            json!({
                "at": AT, "action": "pause", "queue": n.to_string(), "code": "rejected", "message": "Locked", "count": 1
            })
        };
        let error = |_: usize| json!({"at": AT, "message": "the PBX cannot be reached"});
        let status = json!({
            "worker": "w-1", "pbx": "default", "version": "0.1.0", "uptime_seconds": 6, "dry_run": false,
            "verdict": {"state": "good", "words": "All is well; jobs flow"}, "reasons": [], "not_ready_since": null, "stalled": null,
            "broker": {"connected": true, "subscribed": true, "reconnects": 0}, "breaker": {"reason": null, "next_probe": null},
            "jobs_ready": 0, "dead": {"queue": "clockout.dead", "ready": 0}, "held": queues, "calls_in_flight": 0,
            "queues": (0..queues).map(queue).collect::<Vec<_>>(),
            "totals": {"outcomes": {}, "dead_letters": 0}, "history": {"received": [], "outcomes": []},
            "failures": (0..failures).map(failure).collect::<Vec<_>>(),
            "last_errors": (0..errors).map(error).collect::<Vec<_>>(),
        });
        Report::read(&status.to_string()).unwrap()
    }

    fn rows_of_queues(picture: &str) -> usize {
        let after = picture.split("PBX queue").nth(1).unwrap();
        let table = after.split('└').next().unwrap();
        table.lines().filter(|line| line.starts_with('│')).count()
    }

    /// Whatever happens, a small terminal shows five PBX queues, and says what it does not show.
    #[test]
    fn troubles_leave_room_for_pbx_queues() {
        let room = Size {
            columns: 80,
            lines: 23,
        };
        for (queues, failures, errors, shown) in
            [(30, 0, 0, 9), (30, 5, 1, 5), (30, 20, 20, 5), (3, 5, 1, 3)]
        {
            let picture = fitted(&report(queues, failures, errors), room);
            assert!(height(&picture, 80) <= 23, "{picture}");
            assert_eq!(rows_of_queues(&picture), shown, "{picture}");
            let left_out = format!("PBX queue: … and {} more\n", queues - shown);
            assert_eq!(picture.contains(&left_out), queues > shown, "{picture}");
            for (header, count) in [("last failed", failures), ("last error", errors)] {
                assert_eq!(picture.contains(header), count > 0, "{picture}");
            }
        }
    }

    #[test]
    fn a_terminal_with_room_shows_all() {
        let room = Size {
            columns: 200,
            lines: 60,
        };
        let picture = fitted(&report(10, 5, 5), room);
        assert!(!picture.contains('…'), "{picture}");
        assert_eq!(rows_of_queues(&picture), 10);
        assert_eq!(picture.matches("rejected").count(), 5);
    }
}
