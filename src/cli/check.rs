//! `clockout check`: what stands between these settings and a worker that works, one line each. Changes nothing.

mod report;

use clap::Args;
use clockout::broker::examine::examine;
use clockout::engine::job::Action;
use clockout::pbx::client::{self, Client, Trouble};
use clockout::settings::{Overview, Settings};
use futures_util::future::join_all;

use self::report::{About, Report};
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
    for finding in pbx {
        report.note(About::Pbx, finding);
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

/// Whether the PBX would take the calls that this worker may make.
async fn call(settings: &Settings) -> Vec<Result<String, String>> {
    let address = &settings.pbx.base_url;
    let client = match Client::new(&settings.pbx) {
        Ok(client) => client,
        Err(unusable) => return vec![Err(unusable.to_string())],
    };
    let policy = &settings.engine.policy;
    let allowed = [
        (Action::Pause, policy.pause),
        (Action::Remove, policy.remove),
    ];
    let allowed = allowed.into_iter().filter(|(_, is_allowed)| *is_allowed);
    let answers = join_all(allowed.map(|(action, _)| client.probe(action))).await;
    let mut troubles: Vec<Trouble> = answers.into_iter().filter_map(Result::err).collect();
    troubles.dedup();
    if troubles.is_empty() {
        let how = credentials(&settings.pbx);
        let shown = settings.pbx.identity_pem.as_ref();
        let shown = shown.map_or("", |_| " and with a client certificate");
        return vec![Ok(format!("{address} takes calls {how}{shown}"))];
    }
    let troubles = troubles.into_iter();
    troubles
        .map(|trouble| Err(format!("{address} {trouble}")))
        .collect()
}

fn credentials(settings: &client::Settings) -> &'static str {
    match (&settings.api_key, &settings.basic) {
        (Some(_), Some(_)) => "with this key, user name and password",
        (Some(_), None) => "with this key",
        (None, Some(_)) => "with this user name and password",
        (None, None) => "without credentials",
    }
}
