//! A checklist as the question that it asks, and the checklist that a question is.

use flow_engine::answer::{Answer, Trial};
use flow_engine::run::Run;
use flow_engine::step::Step as _;

use crate::means::checklist::{Checklist, Item};
use crate::means::kinds::CHECKLIST;

impl Checklist {
    /// The answer that is asked for: a result for each item.
    pub fn question(&self) -> Answer {
        let trial = |item: &Item| Trial {
            key: item.key.clone(),
            text: item.text.clone(),
            required: item.required,
        };
        Answer::Checklist {
            items: self.items.iter().map(trial).collect(),
            more: 0,
        }
    }

    /// The checklist that a step of a run is, or the one that it asks for as data while it waits.
    pub fn of(run: &Run, step: &str) -> Option<Checklist> {
        let (place, node) = run.plan.node(step)?;
        if node.kind == CHECKLIST {
            return Checklist::decode(node.version, &node.params).ok();
        }
        let wait = run.steps[place as usize].wait.as_ref()?;
        let Some(Answer::Checklist { items, .. }) = &wait.answer else {
            return None;
        };
        let item = |trial: &Trial| Item {
            key: trial.key.clone(),
            text: trial.text.clone(),
            required: trial.required,
        };
        Some(Checklist {
            title: wait.what.clone(),
            items: items.iter().map(item).collect(),
            who: wait.who.clone(),
            deadline_minutes: None,
        })
    }
}
