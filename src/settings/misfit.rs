//! Settings that are right one by one and do not fit together: a worker starts with them, and then does otherwise than one
//! might think.

use std::time::Duration;

use super::Settings;

/// How long RabbitMQ waits for an acknowledgement by default before it takes back what a channel holds.
const CONSUMER_TIMEOUT: Duration = Duration::from_mins(30);

impl Settings {
    /// What does not fit, what comes of it and what to do about it; one text each.
    #[expect(clippy::too_many_lines, reason = "a table, a row each")]
    pub fn misfits(&self) -> Vec<&'static str> {
        let Self { pbx, engine, .. } = self;
        let attempts = engine.retry.attempts_max.get();
        let rules = [
            (
                pbx.timeout <= pbx.connect_timeout,
                "pbx.timeout is not longer than pbx.connect_timeout, so a PBX that cannot be reached passes for one that may \
                 have acted: make it longer",
            ),
            (
                self.grace < pbx.timeout,
                "shutdown.grace is shorter than pbx.timeout, so at a stop jobs go back to RabbitMQ whose call is still under \
                 way: make it longer",
            ),
            (
                engine.max_agents > engine.prefetch,
                "batch.max_agents is more than jobs.prefetch, so no call is ever that large: lower it, or raise jobs.prefetch",
            ),
            (
                engine.linger >= CONSUMER_TIMEOUT,
                "batch.linger is as long as RabbitMQ's consumer timeout of half an hour, so RabbitMQ takes jobs back before they \
                 leave, and counts a delivery of each: make it shorter",
            ),
            (
                pbx.timeout.saturating_mul(attempts) + engine.retry.longest_waits()
                    >= CONSUMER_TIMEOUT,
                "retry.attempts_max calls of pbx.timeout each and the waits between them can take as long as RabbitMQ's \
                 consumer timeout of half an hour, so RabbitMQ takes such jobs back, and counts a delivery of each: make it \
                 fewer, or the waits shorter",
            ),
            (
                engine.breaker.hold_max >= CONSUMER_TIMEOUT,
                "breaker.hold_max is as long as RabbitMQ's consumer timeout of half an hour, so in a long outage RabbitMQ takes jobs \
                 back, again and again, and counts a delivery of each: make it shorter",
            ),
            (
                self.jobs
                    .max_age
                    .is_some_and(|age| age <= engine.breaker.cooldown),
                "jobs.max_age is not longer than breaker.cooldown, so jobs without expires_at expire before the PBX is tried \
                 again: make it longer",
            ),
            (
                engine.retry.attempts_max <= engine.breaker.failures,
                "retry.attempts_max is not more than breaker.failures, so in an outage an agent's attempts can run out before the \
                 breaker opens: make it more",
            ),
            (
                !engine.policy.pause && !engine.policy.remove,
                "policy.actions is empty, so every job ends as forbidden_by_policy: allow \"pause\", \"remove\" or both",
            ),
            (
                engine.policy.dry_run,
                "policy.dry_run is true, so no agent is ever paused or removed: leave it out once you have seen enough",
            ),
            (
                engine.hold_unroutable && self.broker.names.results_queue.is_none(),
                "results.queue is \"\" and results.unroutable is \"hold\", so jobs are held until a consumer binds a queue to the \
                 results exchange: see that one does",
            ),
            (
                self.broker.tls.ca_pem.is_some() && !self.is_broker_encrypted(),
                "amqp.ca_file is given and an address is not amqps://, so passwords and jobs travel in the clear: write amqps://",
            ),
            (
                pbx.ca_pem.is_some() && !pbx.base_url.starts_with("https:"),
                "pbx.ca_file is given and pbx.base_url is not https://, so keys and calls travel in the clear: write https://",
            ),
            (
                pbx.identity_pem.is_some() && !pbx.base_url.starts_with("https:"),
                "pbx.cert_file is given and pbx.base_url is not https://, so the certificate is never shown: write https://",
            ),
        ];
        let unfit = rules.into_iter().filter(|(is_unfit, _)| *is_unfit);
        unfit.map(|(_, text)| text).collect()
    }

    fn is_broker_encrypted(&self) -> bool {
        let mut addresses = self.broker.addresses.all();
        addresses.all(|address| address.shown.starts_with("amqps:"))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::settings::Arguments;

    fn misfits(given: &[(&str, &str)]) -> Vec<&'static str> {
        let url = ("CLOCKOUT_PBX_BASE_URL", "http://pbx.example");
        let variables = [&url].into_iter().chain(given);
        let variables =
            variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let settings = Settings::load(&Arguments::default(), variables);
        settings.unwrap().misfits()
    }

    #[test]
    fn the_defaults_fit_together() {
        assert_eq!(misfits(&[]), Vec::<&str>::new());
    }

    #[test]
    fn a_client_certificate_that_is_never_shown_is_a_misfit() {
        let made = rcgen::generate_simple_self_signed(["worker".to_owned()]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let pem = made.cert.pem() + &made.signing_key.serialize_pem();
        std::fs::write(file.path(), pem).unwrap();
        let path = file.path().to_str().unwrap();
        let both = [
            ("CLOCKOUT_PBX_CERT_FILE", path),
            ("CLOCKOUT_PBX_KEY_FILE", path),
        ];
        let found = misfits(&both);
        assert!(
            matches!(found[..], [text] if text.starts_with("pbx.cert_file ")),
            "{found:?}"
        );
        let https = ("CLOCKOUT_PBX_BASE_URL", "https://pbx.example");
        assert_eq!(misfits(&[both[0], both[1], https]), Vec::<&str>::new());
    }

    #[test]
    fn each_misfit_is_named_by_its_key_and_alone() {
        let authority = tempfile::NamedTempFile::new().unwrap();
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(authority.path(), pem).unwrap();
        let ca = authority.path().to_str().unwrap();
        for (variable, value, key) in [
            ("CLOCKOUT_PBX_CONNECT_TIMEOUT", "10s", "pbx.timeout"),
            ("CLOCKOUT_PBX_TIMEOUT", "31s", "shutdown.grace"),
            ("CLOCKOUT_BATCH_MAX_AGENTS", "4001", "batch.max_agents"),
            ("CLOCKOUT_BATCH_LINGER", "30m", "batch.linger"),
            ("CLOCKOUT_RETRY_ATTEMPTS_MAX", "120", "retry.attempts_max"),
            ("CLOCKOUT_BREAKER_HOLD_MAX", "30m", "breaker.hold_max"),
            ("CLOCKOUT_JOBS_MAX_AGE", "5s", "jobs.max_age"),
            ("CLOCKOUT_BREAKER_FAILURES", "6", "retry.attempts_max"),
            ("CLOCKOUT_POLICY_ACTIONS", "", "policy.actions"),
            ("CLOCKOUT_POLICY_DRY_RUN", "true", "policy.dry_run"),
            ("CLOCKOUT_RESULTS_QUEUE", "", "results.queue"),
            ("CLOCKOUT_AMQP_CA_FILE", ca, "amqp.ca_file"),
            ("CLOCKOUT_PBX_CA_FILE", ca, "pbx.ca_file"),
        ] {
            let found = misfits(&[(variable, value)]);
            let named: Vec<_> = found
                .iter()
                .filter_map(|text| text.split(' ').next())
                .collect();
            assert_eq!(named, [key], "{variable}={value}");
        }
    }
}
