//! The control groups that the containers of a sandbox leave.

use crate::clock::Deadline;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All cgroups of a sandbox's containers begin with this and its id.
pub(crate) const CGROUP: &str = "flow-sandbox-";

/// Removes the empty cgroups that the containers of a sandbox left; nothing to do when there are none.
///
/// The kernel takes a moment to notice that the last process of one has ended, so this tries for two seconds.
pub(crate) fn remove_cgroups(id: &str) {
    if id.len() < 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return;
    }
    let until = Deadline::after(Duration::from_secs(2));
    loop {
        let left = cgroups(id);
        for path in &left {
            remove_tree(path);
        }
        if left.iter().all(|path| !path.exists()) || until.is_over() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The sandbox's topmost cgroups, in every hierarchy.
fn cgroups(id: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let name = format!("{CGROUP}{id}");
    let inside = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let own = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|found| found.as_encoded_bytes().starts_with(name.as_bytes()))
    };
    // With version 1 there is one folder for each controller, with version 2 only the root.
    let tops = inside(root);
    let below = tops.iter().flat_map(|top| inside(top));
    below.chain(tops.clone()).filter(own).collect()
}

fn remove_tree(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // Its files are the kernel's and go with it.
    fs::remove_dir(cgroup).ok();
}
