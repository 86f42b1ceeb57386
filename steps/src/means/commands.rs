//! What a person types to do what can be done: the only place that makes command lines of a run's options. The terminal,
//! the mails and `--json` all take theirs from here.

use flow_engine::answer::{Answer, Subject};
use flow_engine::record::Wait;
use flow_engine::run::Run;
use flow_engine::run::options::{Act, Choice, Question};
use flow_engine::signal::Order;

use crate::means::{again, kinds};

/// What stands for the words of a person.
const REASON: &str = "--reason …";

/// Everything an operator can do now, with what the answers on record come to.
pub fn options(run: &Run) -> Vec<Choice> {
    run.options(&again::on_record(run))
}

/// The whole command line, as it is typed; `…` stands for words of the person's own.
pub fn line(run: &Run, act: &Act) -> String {
    let id = &run.id;
    match act {
        Act::Answer(asked) => answering(run, asked),
        Act::Resume => format!("flow resume {id}"),
        Act::Export => format!("flow export {id}"),
        Act::Order(order) => match order {
            Order::Retry => format!("flow retry {id}"),
            Order::Skip { step } => format!("flow skip {id} {step} {REASON}"),
            Order::Settle { step, done } => {
                let flag = if *done { "--done" } else { "--not-done" };
                format!("flow settle {id} {step} {flag} {REASON}")
            }
            Order::Rollback | Order::Cancel => format!("flow {} {id} {REASON}", order.verb()),
        },
    }
}

/// The command line that answers what a step waits for; empty when only time must pass.
pub fn of_wait(run: &Run, step: u32, wait: &Wait) -> String {
    let question = wait.answer.clone().map(|answer| Question {
        step: run.plan.nodes[step as usize].key.clone(),
        who: wait.who.clone(),
        answer,
    });
    question.map_or_else(String::new, |asked| answering(run, &asked))
}

/// The command line that answers a question: a short form where there is one, else `flow answer`.
pub fn answering(run: &Run, asked: &Question) -> String {
    let (id, step) = (&run.id, &asked.step);
    let node = run.plan.node(step).map(|(_, node)| node);
    match &asked.answer {
        Answer::Command(line) => line.replace("RUN", id.as_str()),
        Answer::Signature {
            role,
            subject,
            about,
        } => match (subject, about) {
            (Subject::Waiver, Some(about)) => format!("flow waive {id} {step} {about} {REASON}"),
            (Subject::Review, _) => format!("flow sign {id} --role {role} --step {step}"),
            (Subject::Signoff, _) if node.is_some_and(|n| n.kind == kinds::SIGN_OFF) => {
                format!("flow sign {id} --role {role}")
            }
            _ => format!("flow answer {id} {step}"),
        },
        Answer::Checklist { .. } => format!("flow check {id} {step}"),
        Answer::Choice { .. } => format!("flow answer {id} {step} --choice …"),
        Answer::Text { .. } => format!("flow answer {id} {step} --text …"),
    }
}
