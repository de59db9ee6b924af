//! Where jobs come from: flags, a CSV file or JSON lines.
//!
//! Everything can be read twice: once to check it, once to send it. A file is read where it lies; what can be read only
//! once is kept. The only reader of files besides the settings.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::iter::once;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args};
use clockout::engine::job::{Action, Agent, JobId, PbxQueue, Timestamp};
use clockout::wire::time::Rfc3339;
use clockout::worker::Clock;
use tempfile::SpooledTempFile;

use super::bad_input::BadInput;
use super::draft::Draft;
use super::json_lines::JsonLines;
use super::rows::Rows;
use crate::cli::values;

/// How much of standard input is kept in memory; more goes to a temporary file.
const KEPT_IN_MEMORY_BYTES_MAX: usize = 16 * 1024 * 1024;

const STANDARD_INPUT: &str = "-";

/// A job, or what the jobs of a file have in common.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("source").args(["agents", "csv", "jsonl"]).required(true)))]
pub(super) struct InputFlags {
    /// What is to happen; with a file, to the jobs that do not say.
    #[arg(long, value_name = "ACTION", value_parser = values::action())]
    action: Option<Action>,
    /// On which PBX queue; with a file, for the jobs that do not say.
    #[arg(long, value_name = "QUEUE", value_parser = PbxQueue::parse)]
    queue: Option<PbxQueue>,
    /// To which agent; several make one job for all of them.
    #[arg(
        long = "agent", value_name = "AGENT", value_delimiter = ',', value_parser = Agent::parse,
        requires_all = ["action", "queue"]
    )]
    agents: Vec<Agent>,
    /// The id of the job, the same when it is sent again; made up unless given.
    #[arg(long, value_name = "ID", value_parser = JobId::parse, conflicts_with_all = ["csv", "jsonl"])]
    job_id: Option<JobId>,
    /// Ties together what belongs together, such as a shift end; with a file, for the jobs that have none.
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Repeated in the outcomes; with a file, for the jobs that have none.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Never to be carried out later than so long from now; with a file, for the jobs that do not say. Without it a job
    /// expires `jobs.max_age` after a worker has taken it.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    expires_in: Option<Duration>,
    /// Take the jobs from a CSV file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Take the jobs from a file with one JSON object a line; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
}

impl InputFlags {
    fn draft(&self, now: Timestamp) -> serde_json::Result<Draft> {
        let mut draft = Draft::default();
        if let Some(action) = self.action {
            draft.set("action", action.as_str())?;
        }
        if let Some(queue) = &self.queue {
            draft.set("queue", queue.as_str())?;
        }
        match self.agents.as_slice() {
            [] => {}
            [agent] => draft.set("agent", agent.as_str())?,
            agents => {
                let agents: Vec<&str> = agents.iter().map(Agent::as_str).collect();
                draft.set("agents", &agents)?;
            }
        }
        if let Some(id) = &self.job_id {
            draft.set("job_id", id.as_str())?;
        }
        if let Some(id) = &self.correlation_id {
            draft.set("correlation_id", id)?;
        }
        if let Some(reason) = &self.reason {
            draft.set("reason", reason)?;
        }
        if let Some(wait) = self.expires_in {
            let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            let expires_at = Timestamp(now.0.saturating_add(wait));
            draft.set("expires_at", &Rfc3339(expires_at))?;
        }
        Ok(draft)
    }
}

/// A job as it was given.
#[derive(Debug)]
pub(super) struct Given {
    /// In a file, counted from 1.
    pub(super) line: Option<u64>,
    /// The JSON of the job, or why there is none.
    pub(super) body: Result<Vec<u8>, String>,
}

/// The jobs of an input, or why it cannot be read any further.
pub(super) type AllGiven<'i> = Box<dyn Iterator<Item = io::Result<Given>> + 'i>;

/// What can be read from its beginning again.
trait Kept: Read + Seek {}

impl<T: Read + Seek> Kept for T {}

enum Form {
    Flags,
    Csv(Box<dyn Kept>),
    JsonLines(Box<dyn Kept>),
}

/// Where jobs come from.
pub(super) struct Input {
    name: String,
    form: Form,
    /// The job of the flags, or what they add to the jobs of a file.
    draft: Draft,
}

impl Input {
    pub(super) fn open(flags: &InputFlags) -> Result<Self, BadInput> {
        let (name, form) = match (&flags.csv, &flags.jsonl) {
            (Some(path), _) => (name(path), keep(path).map(Form::Csv)),
            (None, Some(path)) => (name(path), keep(path).map(Form::JsonLines)),
            (None, None) => ("the flags".to_owned(), Ok(Form::Flags)),
        };
        let draft = flags.draft(Clock::start().now().wall);
        let opened = form.and_then(|form| Ok((form, draft?)));
        match opened {
            Ok((form, draft)) => Ok(Self { name, form, draft }),
            Err(why) => Err(BadInput::Unreadable { name, why }),
        }
    }

    /// For messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// All jobs, from the first.
    pub(super) fn all(&mut self) -> io::Result<AllGiven<'_>> {
        Ok(match &mut self.form {
            Form::Flags => {
                let body = Ok(self.draft.to_body()?);
                Box::new(once(Ok(Given { line: None, body })))
            }
            Form::Csv(file) => {
                file.rewind()?;
                Box::new(Rows::new(BufReader::new(file), &self.draft)?)
            }
            Form::JsonLines(file) => {
                file.rewind()?;
                Box::new(JsonLines::new(BufReader::new(file), &self.draft))
            }
        })
    }
}

fn name(path: &Path) -> String {
    if path.as_os_str() == STANDARD_INPUT {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

fn keep(path: &Path) -> io::Result<Box<dyn Kept>> {
    if path.as_os_str() == STANDARD_INPUT {
        return keep_all_of(io::stdin().lock());
    }
    let file = File::open(path)?;
    if file.metadata()?.is_file() {
        Ok(Box::new(file))
    } else {
        keep_all_of(file)
    }
}

fn keep_all_of(mut input: impl Read) -> io::Result<Box<dyn Kept>> {
    let mut kept = SpooledTempFile::new(KEPT_IN_MEMORY_BYTES_MAX);
    io::copy(&mut input, &mut kept)?;
    Ok(Box::new(kept))
}
