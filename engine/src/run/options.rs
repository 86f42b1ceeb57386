//! What an operator can do now, as data. Pure, as [`decide`](crate::decide) is: a terminal, a mail and a page only render
//! it, so they cannot differ.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Life, Run};
use crate::answer::Answer;
use crate::record::{ParkReason, Wait};
use crate::signal::Order;

/// Something an operator can do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What it is.
    pub act: Act,
    /// What it does, in words: the end of a line that begins with a command.
    pub why: String,
    /// Whether it leads on from here. What does not is possible all the same, such as to cancel a run that is well.
    pub leads_on: bool,
}

/// A thing to do, without the words by which it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Somebody answers a question.
    Answer(Question),
    /// Have the run driven on; a parked one tries again what failed.
    Resume,
    /// Give an order.
    Order(Order),
    /// Put everything on record into a file.
    Export,
}

/// Something people are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The key of the step that asks.
    pub step: String,
    /// Whose answer counts, such as `qa`.
    pub who: String,
    /// Which answer is taken.
    pub answer: Answer,
}

/// What the answers on record come to, as the steps that asked for them understand them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswersOnRecord {
    /// The places of steps that have the whole answer to what they ask; a driver only has to take it in.
    pub complete: BTreeSet<u32>,
    /// What a parked run stopped at that people may answer once more, in the order of the plan. Without their new answer a
    /// retry comes to the same.
    pub again: Vec<Question>,
}

impl Run {
    /// Everything an operator can do now: first what leads on, in the order in which it is to be tried, then what is possible
    /// besides. Never empty. An [`Act::Order`] is among it exactly when the run accepts that order.
    pub fn options(&self, answers: &AnswersOnRecord) -> Vec<Choice> {
        let mut choices = match &self.life {
            Life::Finished { .. } => self.after_the_end(),
            Life::Parked { why, .. } => self.out_of_parking(why, answers),
            Life::Forward => self.forward(answers),
            Life::Unwinding(_) => vec![go_on()],
        };
        self.besides(&mut choices);
        choices
    }

    fn forward(&self, answers: &AnswersOnRecord) -> Vec<Choice> {
        let mut choices = Vec::new();
        let answered = self
            .waiting()
            .find(|(step, _)| answers.complete.contains(step));
        if let Some((step, _)) = answered {
            let key = self.key_of(step);
            let why = format!("`{key}` is answered, nobody drives it: go on");
            choices.push(leads(Act::Resume, why));
        }
        for (step, wait) in self.waiting() {
            let Some(answer) = &wait.answer else {
                continue;
            };
            if !answers.complete.contains(&step) {
                let question = Question {
                    step: self.key_of(step).to_owned(),
                    who: wait.who.clone(),
                    answer: answer.clone(),
                };
                choices.push(leads(Act::Answer(question), asked_for(wait)));
            }
        }
        if choices.is_empty() {
            choices.push(go_on());
        }
        choices
    }

    fn after_the_end(&self) -> Vec<Choice> {
        let mut choices = vec![leads(Act::Export, "everything on record")];
        if self.accepts(&Order::Rollback).is_ok() && self.to_undo().next().is_some() {
            choices.push(leads(
                Act::Order(Order::Rollback),
                "undo this release, while no newer one stands on it; shows first what that would do",
            ));
        }
        choices
    }

    /// Only what the run accepts, and what can lead on: no retry of what this binary cannot run, no cancellation after
    /// production changed, no second rollback inside of one.
    fn out_of_parking(&self, why: &ParkReason, answers: &AnswersOnRecord) -> Vec<Choice> {
        let key = self.key_of(why.step());
        let retry = |why: &str| leads(Act::Order(Order::Retry), why);
        let mut choices = match why {
            ParkReason::Unknown { .. } => self.settlements(key),
            ParkReason::UndoFailed { .. } => {
                vec![retry("try this undo again, once its cause is gone")]
            }
            ParkReason::UndoUnreached { .. } => {
                vec![leads(Act::Resume, "go on undoing when it can be reached")]
            }
            ParkReason::Unreached { step } => {
                let open = !answers.complete.contains(step);
                let mut choices: Vec<_> = answers
                    .again
                    .iter()
                    .filter(|_| open)
                    .map(|asked| leads(Act::Answer(asked.clone()), "answer it first"))
                    .collect();
                let why = "go on when it can be reached or is answered";
                choices.push(leads(Act::Resume, why));
                choices
            }
            ParkReason::Unreadable { .. } => {
                let why = format!("only with {}, which planned it", self.plan.planned_by);
                vec![leads(Act::Resume, why)]
            }
            ParkReason::Refused { .. } | ParkReason::StepFailed { .. }
                if !answers.again.is_empty() =>
            {
                ask_again(&answers.again)
            }
            ParkReason::Refused { .. } => {
                vec![retry("ask the gate again, once what it named is there")]
            }
            ParkReason::StepFailed { .. } => {
                vec![retry("try this step again, once its cause is gone")]
            }
        };
        let skip = Order::Skip { step: key.into() };
        if self.accepts(&skip).is_ok() {
            choices.push(leads(Act::Order(skip), self.without_it()));
        }
        choices.extend(self.way_back());
        choices
    }

    /// What it means to skip a step now.
    fn without_it(&self) -> &'static str {
        if self.unwinding().is_some() {
            "give this undo up; the rest is undone"
        } else {
            "go on without it"
        }
    }

    /// What a person can state about an outcome that is not known.
    fn settlements(&self, key: &str) -> Vec<Choice> {
        let words = [
            (true, "you looked: it was done"),
            (false, "you looked: it was not"),
        ];
        let orders = words.into_iter().map(|(done, why)| {
            let step = key.to_owned();
            (Order::Settle { step, done }, why)
        });
        orders
            .filter(|(order, _)| self.accepts(order).is_ok())
            .map(|(order, why)| leads(Act::Order(order), why))
            .collect()
    }

    /// The way back, where there is one: to cancel while production is as it was, else to roll back.
    fn way_back(&self) -> Option<Choice> {
        let undone = self.to_undo().count();
        if self.accepts(&Order::Cancel).is_ok() {
            let why = match undone {
                0 => "stop here; nothing has to be undone".to_owned(),
                some => format!(
                    "stop here and undo {}; production was not changed",
                    steps(some)
                ),
            };
            return Some(leads(Act::Order(Order::Cancel), why));
        }
        self.accepts(&Order::Rollback).is_ok().then(|| {
            let why = format!("undo {}, newest first", steps(undone));
            leads(Act::Order(Order::Rollback), why)
        })
    }

    /// Adds every order that the run accepts and that is not among the choices yet.
    fn besides(&self, choices: &mut Vec<Choice>) {
        let way_back = self.way_back().map(|choice| Choice {
            leads_on: false,
            ..choice
        });
        let mut more: Vec<Choice> = way_back.into_iter().collect();
        let aside = |order: Order, why: &str| Choice {
            act: Act::Order(order),
            why: why.into(),
            leads_on: false,
        };
        more.push(aside(Order::Retry, "try again what stopped it"));
        more.push(aside(
            Order::Rollback,
            "undo everything that started, newest first",
        ));
        for node in &self.plan.nodes {
            let step = || node.key.clone();
            let (done, not) = (
                Order::Settle {
                    step: step(),
                    done: true,
                },
                Order::Settle {
                    step: step(),
                    done: false,
                },
            );
            more.push(aside(done, "you looked: it was done"));
            more.push(aside(not, "you looked: it was not"));
            more.push(aside(Order::Skip { step: step() }, self.without_it()));
        }
        for choice in more {
            let Act::Order(order) = &choice.act else {
                continue;
            };
            let new = !choices.iter().any(|known| known.act == choice.act);
            if new && self.accepts(order).is_ok() {
                choices.push(choice);
            }
        }
    }

    fn key_of(&self, step: u32) -> &str {
        self.plan
            .nodes
            .get(step as usize)
            .map_or("", |node| &node.key)
    }
}

/// A gate asks again once it is given what it named; where people said no, that is another answer of theirs.
fn ask_again(again: &[Question]) -> Vec<Choice> {
    let tried = |asked: &Question| matches!(asked.answer, Answer::Checklist { .. });
    let answers = again.iter().map(|asked| {
        let why = if tried(asked) {
            "answer again what did not pass, before it is tried again".to_owned()
        } else {
            format!(
                "{} answers again, once what they named is cleared up",
                asked.who
            )
        };
        leads(Act::Answer(asked.clone()), why)
    });
    let why = if again.iter().all(tried) {
        "ask again"
    } else {
        "then ask again; without a new answer it comes to the same"
    };
    answers
        .chain([leads(Act::Order(Order::Retry), why)])
        .collect()
}

/// For what people are asked, with the words they can choose from.
fn asked_for(wait: &Wait) -> String {
    match &wait.answer {
        Some(Answer::Choice { of }) => format!("{} One of: {}", wait.what, of.join(", ")),
        _ => wait.what.clone(),
    }
}

fn go_on() -> Choice {
    leads(Act::Resume, "go on exactly there")
}

fn leads(act: Act, why: impl Into<String>) -> Choice {
    Choice {
        act,
        why: why.into(),
        leads_on: true,
    }
}

/// A number of steps, in words.
fn steps(count: usize) -> String {
    match count {
        1 => "1 step".into(),
        count => format!("{count} steps"),
    }
}
