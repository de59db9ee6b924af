//! `clockout check`: what stands between these settings and a worker that works, one line each. Changes nothing.

mod report;

use clap::Args;
use clockout::broker::examine::examine;
use clockout::engine::job::Action;
use clockout::pbx::client::{self, Client, Reception, Trouble};
use clockout::settings::{Overview, Settings};
use futures_util::future::join_all;

use self::report::{About, Outcome, Report};
use super::{Common, Exit};

/// Check settings, RabbitMQ and the PBX, and say what to do about each fault.
///
/// Changes nothing: no queue is declared, no agent touched. `✓` is in order, `✗` would keep the worker from its work, `!` lets it work
/// otherwise than one might think. Ends with 1 if there is any `✗`, with 2 if it is in the settings.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clockout check --config /etc/clockout/clockout.toml")]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let given = arguments.common.into();
    let mut report = Report::default();
    let settings = match Settings::from_process(&given) {
        Ok(settings) => settings,
        Err(problems) => {
            for problem in problems.0 {
                report.fault(About::Settings, problem);
            }
            report.print(arguments.json)?;
            return Ok(Exit::Misused);
        }
    };
    report.good(About::Settings, sources(&Overview::from_process(&given)));
    for misfit in settings.misfits() {
        report.advice(About::Settings, misfit);
    }
    let (broker, pbx) = tokio::join!(examine(&settings.broker), call(&settings));
    for finding in broker {
        report.note(About::Broker, finding);
    }
    for (result, text) in pbx {
        report.add(About::Pbx, result, text);
    }
    report.print(arguments.json)?;
    Ok(if report.is_good() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// How much of the settings was given.
fn sources(overview: &Overview) -> String {
    let all = overview.settings.iter();
    let (given, default): (Vec<_>, Vec<_>) = all.partition(|setting| setting.origin.is_some());
    let (given, default) = (given.len(), default.len());
    format!("settings: {given} given, {default} by default; `clockout config` shows them")
}

/// How the PBX would receive the calls that this worker may make.
async fn call(settings: &Settings) -> Vec<(Outcome, String)> {
    let address = &settings.pbx.base_url;
    let client = match Client::new(&settings.pbx) {
        Ok(client) => client,
        Err(unusable) => return vec![(Outcome::Fault, unusable.to_string())],
    };
    let policy = &settings.engine.policy;
    let allowed = [
        (Action::Pause, policy.pause),
        (Action::Remove, policy.remove),
    ];
    let allowed = allowed.into_iter().filter(|(_, is_allowed)| *is_allowed);
    let answers = join_all(allowed.map(|(action, _)| client.probe(action))).await;
    let (mut receptions, mut troubles) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(reception) => receptions.push(reception),
            Err(trouble) => troubles.push(trouble),
        }
    }
    receptions.dedup();
    troubles.dedup();
    if troubles.is_empty() {
        let how = credentials(&settings.pbx);
        let receptions = receptions.iter();
        return receptions
            .map(|reception| received(address, &how, reception))
            .collect();
    }
    let troubles = troubles.into_iter();
    troubles
        .map(|trouble: Trouble| (Outcome::Fault, format!("{address} {trouble}")))
        .collect()
}

/// A call about nobody is refused by most PBXes, and some refuse credentials in the same way: only words tell which it was.
fn received(address: &str, how: &str, reception: &Reception) -> (Outcome, String) {
    let Reception::Refused { said } = reception else {
        return (Outcome::Ok, format!("{address} takes calls {how}"));
    };
    let known = format!(
        "{address} answered a call about nobody {how}: \"{said}\"; credentials were not refused by status"
    );
    if reception.speaks_of_agents() {
        (Outcome::Ok, known)
    } else {
        let advice = format!("{known}: see whether these words are about them");
        (Outcome::Advice, advice)
    }
}

fn credentials(settings: &client::Settings) -> String {
    let account = match (&settings.api_key, &settings.basic) {
        (Some(_), Some(_)) => "with this key, user name and password",
        (Some(_), None) => "with this key",
        (None, Some(_)) => "with this user name and password",
        (None, None) => "without credentials",
    };
    let shown = settings.identity_pem.as_ref();
    let shown = shown.map_or("", |_| " and with a client certificate");
    format!("{account}{shown}")
}
