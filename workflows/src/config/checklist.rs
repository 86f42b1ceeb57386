//! What people look at on an environment, as the team words it.

use flow_steps::means::plain::is_plain;
use serde::Deserialize;

use super::TEXT_MAX;

/// A list that one role answers, item by item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checklist {
    /// Its name, where there are several: the last part of the step's key.
    #[serde(default)]
    pub name: Option<String>,
    /// What stands above it.
    pub title: String,
    /// The role that answers it.
    #[serde(default = "qa")]
    pub role: String,
    /// How long it may take, in minutes. Without it people take their time before production, and in production as long as
    /// `signoff.smoke_minutes`.
    #[serde(default)]
    pub minutes: Option<u64>,
    /// What is looked at, in its order.
    pub items: Vec<Item>,
}

fn qa() -> String {
    "qa".into()
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What answers name it by; it is stored for ever.
    pub key: String,
    /// What to look at.
    pub text: String,
    /// Whether the list fails without it.
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

/// The longest name of a list, the longest key, in characters, and the most items.
const NAME_MAX: usize = 24;
const KEY_MAX: usize = 40;
const ITEMS_MAX: usize = 100;

fn is_key(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    starts && text.len() <= KEY_MAX && text.chars().all(legal)
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().all(is_plain) && text.chars().count() <= TEXT_MAX
}

impl Checklist {
    /// The first thing about one environment's lists that is well-formed but cannot be meant.
    pub(super) fn problem(lists: &[Checklist]) -> Option<String> {
        for (n, list) in lists.iter().enumerate() {
            let same = lists.iter().take(n).any(|other| other.name == list.name);
            let called = list.name.as_deref();
            if same {
                return Some(match called {
                    Some(name) => format!("two are called `{name}`"),
                    None => "only one of them may be without a `name`".into(),
                });
            }
            if called.is_some_and(|name| !is_key(name) || name.len() > NAME_MAX) {
                return Some(format!(
                    "`name` must be a letter first, then a-z, 0-9 and `-`, {NAME_MAX} at the most, not `{}`",
                    called.unwrap_or_default().escape_debug()
                ));
            }
            if let Some(why) = list.wrong() {
                return Some(format!("`{}`: {why}", list.title.escape_debug()));
            }
        }
        None
    }

    fn wrong(&self) -> Option<String> {
        if !is_line(&self.title) || self.items.iter().any(|item| !is_line(&item.text)) {
            return Some(format!(
                "`title` and each `text` must be one line of at most {TEXT_MAX} plain characters"
            ));
        }
        if self.items.is_empty() || self.items.len() > ITEMS_MAX {
            return Some(format!(
                "it must have 1 to {ITEMS_MAX} items, not {}",
                self.items.len()
            ));
        }
        if !self.items.iter().any(|item| item.required) {
            return Some("none of its items is required, so it would decide nothing".into());
        }
        if !is_key(&self.role) {
            return Some(format!("`{}` is no role", self.role.escape_debug()));
        }
        for (n, item) in self.items.iter().enumerate() {
            if !is_key(&item.key) {
                return Some(format!(
                    "the key of an item must be a letter first, then a-z, 0-9 and `-`, {KEY_MAX} at the most, not `{}`",
                    item.key.escape_debug()
                ));
            }
            if self.items.iter().take(n).any(|other| other.key == item.key) {
                return Some(format!("two items have the key `{}`", item.key));
            }
        }
        (self.minutes == Some(0)).then(|| "`minutes` must be at least 1".into())
    }
}
