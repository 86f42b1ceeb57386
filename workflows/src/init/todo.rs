//! Lines of the three files that still wait for a person.

use std::path::Path;

/// What marks such a line; a question follows.
pub const MARK: &str = "# TODO:";
/// The largest file that is looked through, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// A line that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Todo {
    /// The file and its line, such as `flow.toml:12`.
    pub place: String,
    /// What the person is asked, one line.
    pub text: String,
}

/// Every line of a file that waits for a person, in order. A file that cannot be read has none: whoever reads it
/// otherwise says so.
pub fn todos(file: &Path) -> Vec<Todo> {
    let fits = std::fs::metadata(file).is_ok_and(|meta| meta.len() <= SIZE_MAX);
    let text = fits.then(|| std::fs::read_to_string(file).ok()).flatten();
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let lines = text.as_deref().unwrap_or("").lines().enumerate();
    lines
        .filter_map(|(at, line)| {
            let (_, question) = line.split_once(MARK)?;
            Some(Todo {
                place: format!("{name}:{}", at + 1),
                text: question.trim().to_owned(),
            })
        })
        .collect()
}
