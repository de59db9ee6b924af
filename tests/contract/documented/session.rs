//! Plays the sessions that a page shows, each on a terminal of its own, and holds what was printed against the page.
//!
//! What is another at each run (ids, times, ages) counts as the same, and so do the frames of tables, which a pipe lacks.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use tempfile::{NamedTempFile, TempDir};

use crate::support::{Invocation, Place, Running, Stage, Worker, free_port};

/// A pattern of what differs from run to run, and what stands for it.
type Mask = (Regex, &'static str);

static MASKS: LazyLock<Vec<Mask>> = LazyLock::new(|| {
    [
        // What others than clockout print in bold.
        (r"\x1b\[\d*m", ""),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
        (r"\b([0-9a-f]{32}|[0-9a-f]{12}|[0-9a-f]{8}-\d+)\b", "ID"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z|\w{3}, \d\d .* GMT", "TIME"),
        (r"\b\d+(ms|[smh])( \d+[smh])*\b|(?<ms>ms.:)\d+", "${ms}TIME"),
        (r"\d+\.\d (jobs|outcomes)\b", "SOME $1"),
        // Where a client sits.
        (r"127\.0\.0\.1:\d{5}\b", "PEER"),
        // Each version of RabbitMQ counts something else.
        (r"(?m)^  x-.*\n", ""),
        (r"RabbitMQ \d[\d.]+", "RabbitMQ VERSION"),
        (r"\d+ given, \d+ by default", "SOME given"),
        // A reply of HTTP has no line end of its own; pages put one there.
        (r"\}curl ", "}\ncurl "),
        // A command that goes on is begun in a pipe, where there are tabs in place of columns, and no frames.
        (r"(?m)^[┌╞└].*\n?", ""),
        (r"[ \t│┆]+", " "),
        (r"(?m)^ | $", ""),
    ]
    .map(|(pattern, stands)| (Regex::new(pattern).unwrap(), stands))
    .into()
});

/// A page, by its path from the top.
pub(super) struct Page {
    name: &'static str,
    text: String,
}

/// Where sessions are typed.
pub(super) struct Desk {
    place: Place,
    /// The current folder, with the files that the pages speak of.
    folder: TempDir,
    /// What a page shows, and what stands for it here.
    here: Vec<(String, String)>,
    environment: BTreeMap<String, String>,
}

impl Page {
    pub(super) fn read(name: &'static str) -> Page {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = fs::read_to_string(path).unwrap();
        Page { name, text }
    }

    /// All sessions, in their order: so many, and none more.
    pub(super) fn sessions<const N: usize>(&self) -> [&str; N] {
        let blocks = self.blocks("console");
        let count = blocks.len();
        let sessions = blocks.try_into();
        sessions.unwrap_or_else(|_| panic!("{}: {count} sessions, not {N}", self.name))
    }

    pub(super) fn has_line(&self, line: &str) -> bool {
        self.text.lines().any(|shown| shown == line)
    }

    /// What stands in the blocks of a language; in those of none, what was printed elsewhere.
    pub(super) fn blocks(&self, language: &str) -> Vec<&str> {
        let fenced = self.text.split("\n```").skip(1).step_by(2);
        fenced
            .filter_map(|block| block.split_once('\n'))
            .filter_map(|(found, block)| (found == language).then_some(block))
            .collect()
    }
}

impl Desk {
    /// Where this worker runs, and its PBX.
    pub(super) fn beside(stage: &Stage, worker: &Worker) -> Desk {
        Desk::new(&stage.place, &stage.pbx.url(), &worker.url())
    }

    /// With a PBX that listens at this address, or is about to.
    pub(super) fn at(place: &Place, pbx: &str) -> Desk {
        Desk::new(place, pbx, &format!("127.0.0.1:{}", free_port()))
    }

    fn new(place: &Place, pbx: &str, http: &str) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = Path::new(env!("CARGO_BIN_EXE_clockout")).parent().unwrap();
        let path = format!("{}:{}", program.display(), env::var("PATH").unwrap());
        let names = &place.names;
        let [pbx, http] = [pbx, http].map(|url| url.trim_start_matches("http://"));
        let (host, vhost) = place.url.rsplit_once('/').unwrap();
        let (_, host) = host.rsplit_once('@').unwrap();
        let example = top.join("examples/run").display().to_string();
        let here = [
            ("examples/run", example),
            ("crm.outcomes", crm_queue(place)),
            ("127.0.0.1:5672/%2f", format!("{host}/{vhost}")),
            ("virtual host `/`", format!("virtual host `{vhost}`")),
            ("127.0.0.1:9464", http.to_owned()),
            ("127.0.0.1:8088", pbx.to_owned()),
            ("clockout.jobs", names.jobs.clone()),
            ("clockout.results", names.results.clone()),
            ("clockout.dead", names.dead.clone()),
        ];
        Desk {
            place: place.clone(),
            folder,
            here: here.map(|(shown, here)| (shown.to_owned(), here)).into(),
            environment: BTreeMap::new(),
        }
        .with("PATH", &path)
        .with("HOME", &env::var("HOME").unwrap_or_default())
        .with("NO_COLOR", "1")
        .with("CLOCKOUT_HTTP_LISTEN", http)
        .with("AMQP_URL", &place.url)
        .with("JOBS_EXCHANGE", &names.jobs)
        .with("RESULTS_EXCHANGE", &names.results)
    }

    /// With this variable of the environment.
    pub(super) fn with(mut self, name: &str, value: &str) -> Desk {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a file that a page knows by this path.
    pub(super) fn with_file(mut self, shown: &str, content: &str) -> Desk {
        let path = self.folder.path().join("given");
        fs::write(&path, content).unwrap();
        self.here
            .push((shown.to_owned(), path.display().to_string()));
        self
    }

    /// With an address that a page only stands in for.
    pub(super) fn with_address(mut self, shown: &str, here: &str) -> Desk {
        self.here.push((shown.to_owned(), here.to_owned()));
        self
    }

    /// Puts the files there whose contents a session shows.
    pub(super) fn lay(&self, session: &str) {
        for shown in session.split("$ cat ").skip(1) {
            let (name, rest) = shown.split_once('\n').unwrap();
            let content = rest.split("\n$ ").next().unwrap();
            fs::write(self.folder.path().join(name), format!("{content}\n")).unwrap();
        }
    }

    /// Types a session to its end; what is printed must be what it shows.
    pub(super) async fn play(&self, session: &str) {
        self.lay(session);
        let typed = self.typed(session).finished().await;
        assert!(typed.stderr.is_empty(), "{typed:?}");
        let printed = typed.stdout.replace('\r', "");
        let printed = printed.replace("[y/N] ", "[y/N] y\n");
        let shown = session.replace("\n$ ", "\n");
        self.hold(&printed, shown.trim_start_matches("$ "));
    }

    /// Begins the one command of a session, which does not end by itself, in a pipe.
    pub(super) fn begin(&self, session: &str) -> Running {
        let command = self.here(&commands(session));
        let words = shlex::split(&command).unwrap();
        let folder = self.folder.path().to_str().unwrap();
        let words = ["--chdir", folder]
            .into_iter()
            .chain(words.iter().map(String::as_str));
        let words: Vec<&str> = words.collect();
        self.invoked("env", &words).start()
    }

    /// Holds what was printed against what is shown.
    pub(super) fn hold(&self, printed: &str, shown: &str) {
        let mut printed = printed.to_owned();
        for (shown, here) in &self.here {
            printed = printed.replace(here, shown);
        }
        assert_eq!(
            masked(&printed),
            masked(shown),
            "\n--- printed\n{printed}\n--- shown\n{shown}\n"
        );
    }

    /// A shell that repeats what it reads, as if it were typed, on a terminal that repeats nothing by itself.
    fn typed(&self, session: &str) -> Invocation {
        let folder = self.folder.path();
        let file = NamedTempFile::new_in(folder).unwrap();
        fs::write(&file, self.here(&commands(session))).unwrap();
        // Gone with the folder.
        let (_, file) = file.keep().unwrap();
        let (folder, file) = (folder.display(), file.display());
        let shell = format!("stty cols 134; cd {folder}; exec bash -v {file}");
        let shell = self.invoked("bash", &["-c", &shell]).on_a_terminal();
        // Where that has a path of its own.
        let path = &self.environment["PATH"];
        shell.environment("PATH", path).input("y\n")
    }

    fn invoked(&self, program: &str, words: &[&str]) -> Invocation {
        let environment = self.environment.iter();
        environment.fold(
            Invocation::of(program, &self.place, words),
            |invocation, (name, value)| invocation.environment(name, value),
        )
    }

    /// What a page shows, as it is here.
    fn here(&self, text: &str) -> String {
        let here = self.here.iter();
        here.fold(text.to_owned(), |text, (shown, here)| {
            text.replace(shown, here)
        })
    }
}

/// The lines that are typed in a session: what follows a prompt, and on after a backslash.
fn commands(session: &str) -> String {
    let mut goes_on = false;
    let typed = session.lines().filter_map(|line| {
        let typed = line.strip_prefix("$ ").or(goes_on.then_some(line))?;
        goes_on = typed.ends_with('\\');
        Some(format!("{typed}\n"))
    });
    typed.collect()
}

/// The queue of the consumer that the pages show.
pub(super) fn crm_queue(place: &Place) -> String {
    place
        .names
        .results
        .replace("clockout.results", "crm.outcomes")
}

/// What a session prints.
pub(super) fn printed_in(session: &str) -> &str {
    session.split_once('\n').map_or("", |(_, printed)| printed)
}

fn masked(text: &str) -> String {
    let masks = MASKS.iter();
    let masked = masks.fold(text.to_owned(), |text, (pattern, stands)| {
        pattern.replace_all(&text, *stands).into_owned()
    });
    masked.trim_end().to_owned()
}
