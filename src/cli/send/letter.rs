//! A job ready to be sent: read as the worker will read it, and addressed.

use std::io;
use std::iter::zip;

use bytes::Bytes;
use clockout::broker::client::Message;
use clockout::engine::job::{Job, JobId};
use clockout::wire::job::proofread;
use uuid::Uuid;

use super::bad_input::{BadInput, Problems};
use super::input::{Given, Input};

/// Longest AMQP property.
const PROPERTY_BYTES_MAX: usize = 255;

#[derive(Debug)]
pub(super) struct Letter {
    /// In a file, counted from 1.
    pub(super) line: Option<u64>,
    pub(super) job: Job,
    pub(super) message: Message,
}

/// Why a job of the input is no letter.
#[derive(Debug)]
pub(super) enum Unfit {
    Unread(io::Error),
    Wrong {
        line: Option<u64>,
        messages: Vec<String>,
    },
}

pub(super) type Letters<'i> = Box<dyn Iterator<Item = Result<Letter, Unfit>> + 'i>;

/// What there is to send.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) jobs: u64,
    pub(super) agents: u64,
}

/// All letters of an input, from the first. `run` tells the ids that are made up from those of any other run; each time
/// the input is read they are the same.
pub(super) fn all(input: &mut Input, run: Uuid) -> io::Result<Letters<'_>> {
    let numbered = zip(0_u64.., input.all()?);
    Ok(Box::new(numbered.map(move |(number, given)| {
        let made_up = Uuid::new_v5(&run, &number.to_be_bytes());
        given
            .map_err(Unfit::Unread)
            .and_then(|given| letter(given, made_up))
    })))
}

fn letter(given: Given, made_up: Uuid) -> Result<Letter, Unfit> {
    let line = given.line;
    let wrong = |messages| Unfit::Wrong { line, messages };
    let body = given.body.map_err(|message| wrong(vec![message]))?;
    let body = Bytes::from(body);
    let job = proofread(body.clone(), &mut || JobId::from(made_up)).map_err(wrong)?;
    let id = job.id.as_str();
    let message = Message {
        routing_key: job.queue.to_string(),
        body: body.into(),
        // A longer id stands in the job only, where the worker looks first.
        message_id: (id.len() <= PROPERTY_BYTES_MAX).then(|| id.to_owned()),
    };
    Ok(Letter { line, job, message })
}

/// Reads all jobs of an input, one at least, and shows each to `expect`; or tells what is wrong with them.
pub(super) fn check(
    input: &mut Input,
    run: Uuid,
    mut expect: impl FnMut(&Job),
) -> Result<Size, BadInput> {
    let name = input.name().to_owned();
    let mut problems = Problems::none_yet(&name);
    let unreadable = |why| BadInput::Unreadable {
        name: name.clone(),
        why,
    };
    let letters = match all(input, run) {
        Ok(letters) => letters,
        Err(why) => return Err(unreadable(why)),
    };
    let mut size = Size::default();
    for letter in letters {
        match letter {
            Ok(Letter { job, .. }) => {
                size.jobs += 1;
                size.agents += job.targets().len() as u64;
                expect(&job);
            }
            Err(Unfit::Wrong { line, messages }) => problems.note(line, messages),
            Err(Unfit::Unread(why)) => return Err(unreadable(why)),
        }
    }
    match problems.or(size)? {
        Size { jobs: 0, .. } => Err(BadInput::Empty { name }),
        size => Ok(size),
    }
}
