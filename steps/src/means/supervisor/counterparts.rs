//! Which process of a list is which of an earlier one.
//!
//! Names are not unique, and a process that is deleted and started again has another number. So what a process was goes
//! by number, namespace, folder and script together, as far as they still agree.

use std::collections::BTreeSet;

use super::list::{App, ProcessList};

/// For each of `now`, in that order, where in `before` it is; nothing for one that came since. Each is found once. Where
/// several could be meant, what runs is taken for what ran.
pub(crate) fn counterparts(before: &[App], now: &[App]) -> Vec<Option<usize>> {
    let mut found = vec![None; now.len()];
    let mut open: Vec<usize> = (0..before.len()).collect();
    open.sort_by_key(|at| !before[*at].is_running());
    let mut order: Vec<usize> = (0..now.len()).collect();
    order.sort_by_key(|at| !now[*at].is_running());
    let rules: [fn(&App, &App) -> bool; 5] = [
        |was, is| was.id == is.id && same_place(was, is),
        |was, is| was.id == is.id,
        same_place,
        |was, is| agree(was.namespace.as_ref(), is.namespace.as_ref()),
        |_, _| true,
    ];
    for rule in rules {
        for at in &order {
            let is = &now[*at];
            let fits = |was: &usize| before[*was].name == is.name && rule(&before[*was], is);
            let which = open.iter().position(fits).filter(|_| found[*at].is_none());
            if let Some(which) = which {
                found[*at] = Some(open.remove(which));
            }
        }
    }
    found
}

fn same_place(was: &App, is: &App) -> bool {
    agree(was.namespace.as_ref(), is.namespace.as_ref())
        && agree(was.folder.as_ref(), is.folder.as_ref())
        && agree(was.script.as_ref(), is.script.as_ref())
}

/// Whether two facts are equal; one that nobody wrote down disagrees with nothing.
fn agree(was: Option<&String>, is: Option<&String>) -> bool {
    was.zip(is).is_none_or(|(was, is)| was == is)
}

impl ProcessList {
    /// The numbers of those in a later list that are no witness against a release: what was stopped, errored, waiting or
    /// crash-looping here.
    pub(crate) fn no_witness(&self, now: &ProcessList) -> BTreeSet<u64> {
        let parts = counterparts(&self.apps, &now.apps);
        let pairs = now.apps.iter().zip(parts);
        let bad = pairs.filter(|(_, was)| was.is_some_and(|was| !self.apps[was].is_witness()));
        bad.map(|(app, _)| app.id).collect()
    }

    /// Those in a later list that run there and were stopped here by a person's hand.
    pub(crate) fn woken<'a>(&self, now: &'a ProcessList) -> Vec<&'a App> {
        let parts = counterparts(&self.apps, &now.apps);
        let rested = |was: &App| {
            let by_itself = was.ends || was.by_clock || was.watched;
            matches!(was.status.as_str(), "stopped" | "errored") && !by_itself
        };
        let pairs = now.apps.iter().zip(parts);
        let woken = pairs.filter(|(app, was)| {
            let up = !matches!(app.status.as_str(), "stopped" | "errored");
            up && was.is_some_and(|was| rested(&self.apps[was]))
        });
        woken.map(|(app, _)| app).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: u64, status: &str, folder: &str) -> App {
        App {
            id,
            name: "api".into(),
            status: status.into(),
            pid: u64::from(status == "online"),
            folder: Some(folder.into()),
            ..App::default()
        }
    }

    #[test]
    fn a_process_is_found_by_its_number_and_one_that_was_started_anew_by_its_place_and_state() {
        let before = [
            app(17, "online", "/a"),
            app(18, "stopped", "/a"),
            app(3, "online", "/b"),
        ];
        let same = [
            app(18, "online", "/a"),
            app(17, "errored", "/a"),
            app(3, "online", "/c"),
        ];
        assert_eq!(counterparts(&before, &same), [Some(1), Some(0), Some(2)]);
        let anew = [
            app(20, "stopped", "/a"),
            app(21, "online", "/b"),
            app(22, "online", "/a"),
            app(23, "online", "/d"),
        ];
        assert_eq!(
            counterparts(&before, &anew),
            [Some(1), Some(2), Some(0), None]
        );
    }
}
