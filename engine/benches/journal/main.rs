//! Durable steps per second beside what the disk can do, how fast a large state folder opens, and how time grows.
//!
//! ```text
//! W1     one run of steps that do nothing, each result and the next start durable before that one begins. After every
//!        hundred steps one step writes and syncs as many bytes as often itself, on the same disk: so both are measured
//!        in turn, within milliseconds of each other, and the median of the ratios is taken
//! W2     100 runs of 100 steps at once, beside 100 tasks that hand records of the same size to a thread that writes
//!        and syncs what has gathered
//! W3     a state folder with 10,000 finished runs of 20 steps and one interrupted run of 1,000: from the start of a
//!        process to the effect of its next step, the chain of the interrupted run verified
//! scale  one run of 1,000, 10,000 and 100,000 records (or as many as the words say): taking it up again, and
//!        exporting it
//! core   deciding and taking in records alone, without a journal: a step of a plan of 1,000, 4,000 and 16,000, done
//!        and undone
//! ```
//!
//! `cargo bench -p flow-engine` runs all; words behind `--` choose. `BENCH_ROUNDS` sets the rounds, `BENCH_DIR` where
//! the files go; the folder of W3 is kept in `target/`. When `target/release/flow` is there, `flow status` and
//! `flow export` are timed as well.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::path::Path;

mod common;
mod core;
mod disk;
mod history;
mod measure;
mod scale;
mod throughput;

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == "--resume-w3") {
        return history::child(Path::new(&words[at + 1]));
    }
    if let Some(at) = words.iter().position(|word| word == "--memory-w2") {
        return throughput::child(Path::new(&words[at + 1]));
    }
    words.retain(|word| !word.starts_with("--"));
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    let base = std::env::var_os("BENCH_DIR").map_or_else(measure::target, Into::into);
    let dir = base.join(format!("flow-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    if wanted("W1") {
        println!("{}", throughput::alone(&dir));
    }
    if wanted("W2") {
        println!("{}", throughput::together(&dir));
    }
    if wanted("W3") {
        println!("{}", history::run(&base));
    }
    if wanted("scale") {
        let numbers: Vec<u32> = words.iter().filter_map(|word| word.parse().ok()).collect();
        let usual = [1_000, 10_000, 100_000];
        let sizes = if numbers.is_empty() {
            &usual[..]
        } else {
            &numbers
        };
        for records in sizes {
            println!("{}", scale::run(&dir, *records));
        }
    }
    if wanted("core") {
        for steps in [1_000, 4_000, 16_000] {
            println!("{}", core::run(steps));
        }
    }
    std::fs::remove_dir_all(&dir).expect("it can be removed");
}
