//! Whether the shift end went as it must: every job told, told rightly, and the PBX in the right state.
//!
//! Only looks; what it found is for [`super::summary`] to show.

use clockout::engine::outcome::Code;
use clockout::pbx::sim::{Member, Seat};

use super::book::{self, Book, Outcome, Stray};
use super::plan::{Plan, Question};
use super::story::Place;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("{}: told {told} times, and should be {owed} times", asked(.question))]
    Untold {
        question: Question,
        told: usize,
        owed: usize,
    },
    #[error("{}: ended {}/{}, and should end {}", asked(.question), .outcome.status, .outcome.code, any(.codes))]
    Wrong {
        question: Question,
        outcome: Outcome,
        codes: &'static [Code],
    },
    #[error("an outcome that answers no job: {0:?}")]
    Unasked(Outcome),
    #[error("a second outcome of the same job and agent that says something else: {0:?}")]
    Contradiction(Outcome),
    #[error("something that is no outcome was told: {0}")]
    Unreadable(String),
    #[error("agent {} is {is} on PBX queue {}, and should be {should_be}", .seat.1, .seat.0)]
    Place {
        seat: Seat,
        is: Place,
        should_be: Place,
    },
}

fn asked(question: &Question) -> String {
    format!("job {}, agent {}", question.job_id, question.agent)
}

fn any(codes: &[Code]) -> String {
    let codes: Vec<_> = codes
        .iter()
        .map(|code| format!("{}/{code}", code.status()))
        .collect();
    codes.join(" or ")
}

/// All that is wrong. `member` looks an agent up at the PBX.
pub(super) fn faults(
    plan: &Plan,
    book: &Book<'_>,
    member: impl Fn(Seat) -> Option<Member>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (question, answer) in &plan.answers {
        let told = book.told(question);
        let times = told.map_or(0, |told| told.times);
        // More often than owed is allowed: delivery is at least once.
        if times < answer.tellings {
            faults.push(Fault::Untold {
                question: question.clone(),
                told: times,
                owed: answer.tellings,
            });
        }
        let right = |outcome| book::code(outcome).is_some_and(|code| answer.codes.contains(&code));
        if let Some(told) = told.filter(|told| !right(&told.outcome)) {
            faults.push(Fault::Wrong {
                question: question.clone(),
                outcome: told.outcome.clone(),
                codes: answer.codes,
            });
        }
    }
    faults.extend(book.strays().iter().cloned().map(|stray| match stray {
        Stray::Unreadable(why) => Fault::Unreadable(why),
        Stray::Unasked(outcome) => Fault::Unasked(outcome),
        Stray::Contradiction(outcome) => Fault::Contradiction(outcome),
    }));
    for &(seat, should_be) in &plan.ends {
        let is = Place::of(member(seat));
        if is != should_be {
            faults.push(Fault::Place {
                seat,
                is,
                should_be,
            });
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::Instant;

    use super::super::plan::Size;
    use super::*;

    fn plan() -> Plan {
        Plan::new(Size {
            jobs: 100,
            queues: 3,
            seed: 1,
        })
        .unwrap()
    }

    fn outcome(question: &Question, code: Code) -> serde_json::Value {
        json!({
            "outcome_id": question.job_id,
            "job_id": question.job_id,
            "agent": question.agent,
            "status": code.status().as_str(),
            "code": code.as_str(),
        })
    }

    fn note(book: &mut Book<'_>, outcome: &serde_json::Value) {
        book.note(outcome.to_string().as_bytes(), Instant::now());
    }

    /// Everything told as often as it must be.
    fn told(plan: &Plan) -> Book<'_> {
        let mut book = Book::new(plan);
        for (question, answer) in &plan.answers {
            for _ in 0..answer.tellings {
                note(&mut book, &outcome(question, answer.codes[0]));
            }
        }
        book
    }

    /// A PBX where everyone is where they should be.
    fn pbx(plan: &Plan) -> impl Fn(Seat) -> Option<Member> {
        |seat| {
            let (_, place) = plan.ends.iter().find(|(other, _)| *other == seat)?;
            Some(Member {
                member: *place != Place::Gone,
                paused: *place == Place::Paused,
                dynamic: true,
            })
        }
    }

    #[test]
    fn a_shift_end_that_went_as_planned_has_no_faults() {
        let plan = plan();
        let book = told(&plan);
        assert_eq!(book.tellings(), plan.tellings());
        assert_eq!(faults(&plan, &book, pbx(&plan)), []);
    }

    #[test]
    fn a_missing_outcome_is_noticed() {
        let plan = plan();
        let found = faults(&plan, &Book::new(&plan), pbx(&plan));
        let untold = |fault: &Fault| matches!(fault, Fault::Untold { told: 0, .. });
        assert_eq!(found.len(), plan.answers.len());
        assert!(found.iter().all(untold));
    }

    #[test]
    fn a_resent_job_that_is_not_told_again_is_noticed() {
        let plan = plan();
        let mut book = Book::new(&plan);
        for (question, answer) in &plan.answers {
            note(&mut book, &outcome(question, answer.codes[0]));
        }
        let found = faults(&plan, &book, pbx(&plan));
        let once = |fault: &Fault| {
            matches!(
                fault,
                Fault::Untold {
                    told: 1,
                    owed: 2,
                    ..
                }
            )
        };
        assert!(!found.is_empty() && found.iter().all(once));
    }

    #[test]
    fn a_wrong_outcome_is_noticed() {
        let plan = plan();
        let mut book = Book::new(&plan);
        for question in plan.answers.keys() {
            note(&mut book, &outcome(question, Code::TooLarge));
        }
        let found = faults(&plan, &book, pbx(&plan));
        let wrong = found
            .iter()
            .filter(|fault| matches!(fault, Fault::Wrong { .. }));
        assert_eq!(wrong.count(), plan.answers.len());
    }

    #[test]
    fn what_nobody_asked_for_or_contradicts_itself_is_noticed() {
        let plan = plan();
        let mut book = told(&plan);
        let (question, _) = plan.answers.first_key_value().unwrap();
        note(&mut book, &outcome(question, Code::TooLarge));
        let stranger = Question {
            job_id: "another".to_owned(),
            agent: "1".to_owned(),
        };
        note(&mut book, &outcome(&stranger, Code::Applied));
        book.note(b"{}", Instant::now());
        let found = faults(&plan, &book, pbx(&plan));
        assert!(matches!(
            found.as_slice(),
            [
                Fault::Contradiction(_),
                Fault::Unasked(_),
                Fault::Unreadable(_)
            ]
        ));
    }

    #[test]
    fn an_agent_who_is_not_where_they_should_be_is_noticed() {
        let plan = plan();
        let misplaced = faults(&plan, &told(&plan), |_| None);
        let should_stay = plan.ends.iter().filter(|(_, place)| *place != Place::Gone);
        assert_eq!(misplaced.len(), should_stay.count());
        let (is, should_be) = (Place::Gone, Place::Paused);
        let seat = plan.ends[0].0;
        let text = Fault::Place {
            seat,
            is,
            should_be,
        }
        .to_string();
        assert!(text.ends_with("and should be paused"), "{text}");
    }
}
