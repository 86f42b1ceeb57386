//! Where a test may have hosts.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many tests have hosts at a time. A release mostly waits; more would run into each other's limits.
const PLACES: usize = 2;

/// One of the places, for as long as this lives. Tests of another `cargo test` wait for theirs as well; a dead one holds
/// nothing.
pub(crate) struct Place {
    _held: File,
}

impl Place {
    /// Waits for one, for an hour at the most.
    pub(crate) fn take() -> Place {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let until = Instant::now() + Duration::from_hours(1);
        loop {
            for n in 0..PLACES {
                let file = File::create(dir.join(format!("release.{n}.lock")));
                let held = file.expect("a lock file");
                if held.try_lock().is_ok() {
                    return Place { _held: held };
                }
            }
            assert!(Instant::now() < until, "every place is held for an hour");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
