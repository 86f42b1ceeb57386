//! What a step waits for, and both ways in which that was ever stored.

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::failure::shorten;
use crate::answer::Answer;
use crate::clock::Timestamp;

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Who is asked, such as `qa`; empty when only time must pass. At most 200 bytes.
    pub who: String,
    /// For what, in words. At most 1,500 bytes.
    pub what: String,
    /// Which answer is taken; nothing when only time must pass.
    pub answer: Option<Answer>,
    /// When the step looks again even without an answer.
    pub until: Option<Timestamp>,
}

impl Wait {
    /// Makes it short enough for a record.
    pub(crate) fn bound(&mut self) {
        shorten(&mut self.who, 200);
        shorten(&mut self.what, 1500);
        if let Some(answer) = &mut self.answer {
            answer.bound();
        }
    }

    /// Whether it is stored as it was before answers were data: a command line as text, or none.
    pub(crate) fn is_first_layout(&self) -> bool {
        matches!(self.answer, None | Some(Answer::Command(_)))
    }
}

/// Layout 1 has `command: String` where layout 2 has `answer: Answer`. Which of them it is stands in the envelope.
impl Serialize for Wait {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut wait = to.serialize_struct("Wait", 4)?;
        wait.serialize_field("who", &self.who)?;
        wait.serialize_field("what", &self.what)?;
        match &self.answer {
            None => wait.serialize_field("command", "")?,
            Some(Answer::Command(text)) => wait.serialize_field("command", text)?,
            Some(answer) => wait.serialize_field("answer", answer)?,
        }
        wait.serialize_field("until", &self.until)?;
        wait.end()
    }
}

/// Layout 2, as every version writes it that knows answers as data.
impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Second {
            who: String,
            what: String,
            answer: Answer,
            until: Option<Timestamp>,
        }
        let read = Second::deserialize(from)?;
        Ok(Wait {
            who: read.who,
            what: read.what,
            answer: Some(read.answer),
            until: read.until,
        })
    }
}

/// Layout 1, as versions wrote it that knew an answer as a command line.
#[derive(Deserialize)]
pub(crate) struct FirstWait {
    who: String,
    what: String,
    command: String,
    until: Option<Timestamp>,
}

impl From<FirstWait> for Wait {
    fn from(read: FirstWait) -> Wait {
        Wait {
            who: read.who,
            what: read.what,
            answer: Some(read.command)
                .filter(|text| !text.is_empty())
                .map(Answer::Command),
            until: read.until,
        }
    }
}
