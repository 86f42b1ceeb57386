//! Random numbers that a failed test can repeat: the seed is printed, and `FLOW_SEED` sets it.

use std::time::Duration;

/// A generator (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    /// Of `FLOW_SEED`, else another one at each call. Printed, so that a failure shows it.
    pub(crate) fn seeded() -> Random {
        let set = std::env::var("FLOW_SEED").ok();
        let seed = set.map_or_else(fresh, |text| text.parse().expect("FLOW_SEED is a number"));
        println!("FLOW_SEED={seed}");
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A moment from `from` on, before `to`, in milliseconds.
    pub(crate) fn moment(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.next() % (to - from))
    }
}

fn fresh() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    let nanos = since.expect("the clock is past 1970").as_nanos();
    u64::try_from(nanos % 1_000_000_000_000).expect("it is small")
}
