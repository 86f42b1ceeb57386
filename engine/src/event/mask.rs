//! Known secrets, kept out of everything that is shown or stored.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::answer::Answer;
use crate::record::{Failure, Payload, Record, Wait, cut};

mod forms;
mod spelled;
mod url;

pub use url::without_passwords;

/// Words that must never be shown: known secret values, as they are and in other spellings (base64, hexadecimal digits, quoted
/// for a shell, in JSON, in a URL), and the password of any URL, known or not. Masked in all output.
///
/// Clones share what they know, and what one of them learns is never forgotten.
#[derive(Debug, Clone, Default)]
pub struct Masked(Arc<RwLock<Secrets>>);

#[derive(Debug, Default)]
struct Secrets {
    /// The longest first.
    words: Arc<[String]>,
    /// What the learnt values were used for.
    learnt: BTreeSet<String>,
}

const MASK: &str = "••••";
/// From this length on, in bytes, a secret is masked in what steps compute with too. Shorter ones are too often a part
/// of other words.
const LONG: usize = 8;
/// The shortest beginning of a secret, in bytes, that counts as one where a text was cut off. As short as the shortest
/// secret that is masked.
const CUT: usize = 4;
/// The longest text of a record, in bytes. A mask may be longer than what it hides: what fitted before it was masked
/// need not fit after, and a record that does not fit ends the driver, in every life anew.
const TEXT_MAX: usize = 3_600;

impl Masked {
    /// Masks these values. Very short ones are left out: masking every `a` would destroy the log.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        Masked::of(with_spellings(values))
    }

    /// Masks these values as well, from now on. What they are used for is remembered by a name; see [`Masked::knows`].
    pub fn learn(&self, used_for: &str, values: impl IntoIterator<Item = String>) {
        let new = with_spellings(values);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.learnt.insert(used_for.to_owned());
        if new.iter().all(|word| known.words.contains(word)) {
            return;
        }
        let mut words = known.words.to_vec();
        words.extend(new);
        known.words = ordered(words);
    }

    /// Whether the values that are used for this were learnt.
    pub fn knows(&self, used_for: &str) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.learnt.contains(used_for)
    }

    fn of(words: Vec<String>) -> Masked {
        Masked(Arc::new(RwLock::new(Secrets {
            words: ordered(words),
            learnt: BTreeSet::new(),
        })))
    }

    fn words(&self) -> Arc<[String]> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known.words)
    }

    /// The text with every known secret replaced.
    pub fn apply(&self, text: &str) -> String {
        let (masked, _) = self.scan(text.as_bytes(), true);
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// What of these bytes can be shown, and from where on they must be kept until more is known: the end may be the
    /// beginning of a secret. Less than the longest secret, or than the name and password of a URL, is ever kept, and
    /// nothing at the `end` of all output.
    pub(super) fn scan(&self, bytes: &[u8], end: bool) -> (Vec<u8>, usize) {
        let words = self.words();
        let mut shown = Vec::with_capacity(bytes.len());
        let mut at = 0;
        let mut url: Option<url::Password> = None;
        while at < bytes.len() {
            if let Some(found) = url.as_ref().filter(|found| at >= found.from) {
                shown.extend_from_slice(MASK.as_bytes());
                at = found.to;
                url = None;
                continue;
            }
            let rest = &bytes[at..];
            if !end && begins(&words, rest) {
                // Within a URL what was found out about it would be forgotten: it is looked at again as a whole.
                if let Some(found) = url {
                    shown.truncate(found.shown);
                    at = found.begin;
                }
                break;
            }
            // Longest first: a secret inside a longer one is masked with it.
            if let Some(secret) = words.iter().find(|s| rest.starts_with(s.as_bytes())) {
                shown.extend_from_slice(MASK.as_bytes());
                at += secret.len();
                continue;
            }
            if url.is_none() {
                let look = match url::password(rest, end) {
                    url::Look::None => url::parameter(rest, end),
                    other => other,
                };
                match look {
                    url::Look::Unknown => break,
                    url::Look::None => {}
                    url::Look::Found { from, to } => {
                        url = Some(url::Password {
                            begin: at,
                            shown: shown.len(),
                            from: at + from,
                            to: at + to,
                        });
                    }
                }
            }
            shown.push(bytes[at]);
            at += 1;
        }
        (shown, at)
    }

    /// Masks what a step says in a record, before it is stored: words that came from a host may repeat a secret, and
    /// the journal, its exports and the mails made from it are kept for years.
    pub(crate) fn conceal(&self, record: &mut Record) {
        match record {
            Record::Failed { failure, .. } | Record::UndoFailed { failure, .. } => {
                self.failure(failure);
            }
            Record::Undone { report: text, .. }
            | Record::Skipped { why: text, .. }
            | Record::Undeliverable { why: text, .. } => *text = cut(self.cut_off(text), TEXT_MAX),
            Record::Waiting { wait, .. } => self.wait(wait),
            Record::Done {
                output: Payload::Inline(json),
                ..
            }
            | Record::Noted {
                note: Payload::Inline(json),
                ..
            } => self.computed_with(json),
            Record::Queued {
                body: Payload::Inline(json),
                ..
            } => self.json(json),
            _ => {}
        }
    }

    fn failure(&self, failure: &mut Failure) {
        failure.message = self.cut_off(&failure.message);
        for line in failure.causes.iter_mut().chain(&mut failure.hints) {
            *line = self.cut_off(line);
        }
        failure.bound();
    }

    /// What a step waits for, as it is stored: a step that waits again is known by it.
    pub(crate) fn wait(&self, wait: &mut Wait) {
        wait.what = self.cut_off(&wait.what);
        for text in wait.answer.iter_mut().flat_map(Answer::texts_mut) {
            *text = self.cut_off(text);
        }
        wait.bound();
    }

    /// As [`Masked::apply`], for a text that may have been cut to fit: it may end within a secret.
    fn cut_off(&self, text: &str) -> String {
        let masked = self.apply(text);
        let (body, mark) = match masked.strip_suffix('…') {
            Some(body) => (body, "…"),
            None => (masked.as_str(), ""),
        };
        if !mark.is_empty()
            && let Some(at) = url::cut_off(body)
        {
            return format!("{}{MASK}{mark}", &body[..at]);
        }
        let words = self.words();
        let longest = words.first().map_or(0, String::len);
        let from = body.len().saturating_sub(longest);
        let mut tails = (from..body.len()).filter(|at| body.is_char_boundary(*at));
        let part =
            tails.find(|at| body.len() - at >= CUT && begins(&words, &body.as_bytes()[*at..]));
        match part {
            Some(at) => format!("{}{MASK}{mark}", &body[..at]),
            None => masked,
        }
    }

    /// Later steps, and later lives of the same one, compute with it: a short secret that is part of a host's name
    /// must not change it.
    fn computed_with(&self, bytes: &mut Vec<u8>) {
        let words = self.words();
        let long = words.iter().filter(|v| v.len() >= LONG).cloned();
        Masked::of(long.collect()).json(bytes);
    }

    fn json(&self, bytes: &mut Vec<u8>) {
        let Ok(mut json) = serde_json::from_slice(bytes) else {
            return;
        };
        if self.strings(&mut json)
            && let Ok(masked) = serde_json::to_vec(&json)
        {
            *bytes = masked;
        }
    }

    /// Whether one of the strings in it was changed.
    fn strings(&self, json: &mut serde_json::Value) -> bool {
        use serde_json::Value;
        let any = |changed: bool, value: &mut Value| self.strings(value) | changed;
        match json {
            Value::String(text) => {
                let masked = self.apply(text);
                let changed = masked != *text;
                *text = masked;
                changed
            }
            Value::Array(values) => values.iter_mut().fold(false, any),
            Value::Object(fields) => {
                let changed = fields.values_mut().fold(false, any);
                let told = fields.keys().any(|key| self.apply(key) != *key);
                if told {
                    let old = std::mem::take(fields);
                    fields.extend(old.into_iter().map(|(key, v)| (self.apply(&key), v)));
                }
                changed | told
            }
            _ => false,
        }
    }
}

/// Values long enough to be masked, and their other spellings.
fn with_spellings(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut values: Vec<_> = values.into_iter().filter(|v| v.len() >= CUT).collect();
    let other = |value: &String| [forms::base64(value), spelled::spelled(value)].concat();
    let others: Vec<String> = values.iter().flat_map(other).collect();
    values.extend(others);
    values
}

fn ordered(mut words: Vec<String>) -> Arc<[String]> {
    words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    words.dedup();
    words.into()
}

/// Whether this may become one of the words when more comes.
fn begins(words: &[String], rest: &[u8]) -> bool {
    let mut longer = words.iter().take_while(|s| s.len() > rest.len());
    longer.any(|secret| secret.as_bytes().starts_with(rest))
}

#[cfg(test)]
mod tests;
