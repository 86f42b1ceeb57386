//! Every record of every released format is read for ever, and says by its layout when it has changed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use flow_engine::codec::{self, FORMAT};
use serde::{Deserialize, Serialize};

#[path = "../golden_support/mod.rs"]
mod golden_support;
mod layout;
mod samples;

use golden_support::{hex, unhex};
use layout::layout;
use samples::samples;

fn folder(format: u8) -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join(format!("tests/golden/v{format}"))
}

/// Name, layout and bytes of every sample.
fn golden(format: u8) -> BTreeMap<String, (String, Vec<u8>)> {
    let text = std::fs::read_to_string(folder(format).join("records.txt")).unwrap();
    let mut all = BTreeMap::new();
    for record in text.split("\n\n").filter(|r| !r.trim().is_empty()) {
        let mut lines = record.trim().lines();
        let mut line = || lines.next().unwrap().to_owned();
        let (name, layout, bytes) = (line(), line(), unhex(&line()));
        assert_eq!(all.insert(name, (layout, bytes)), None);
    }
    all
}

/// Kind and layout of a stored record; format 1 did not write them down.
fn shape(bytes: &[u8]) -> String {
    match bytes {
        [1, ..] => String::new(),
        [_, tag, layout, ..] => format!("kind {tag} layout {layout} "),
        _ => panic!("no record"),
    }
}

/// Writes the golden files of the current format, once: a released one is never written again.
#[test]
#[ignore = "by hand, when a format or a layout is new"]
fn write_the_golden_records() {
    let path = folder(FORMAT).join("records.txt");
    let known = if path.exists() {
        golden(FORMAT)
    } else {
        BTreeMap::new()
    };
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    for (name, entry) in samples() {
        let bytes = codec::encode(&entry).unwrap();
        if known.contains_key(name) {
            continue;
        }
        let (shape, layout, bytes) = (shape(&bytes), layout(&entry), hex(&bytes));
        text.extend([name, "\n", &shape, &layout, "\n", &bytes, "\n\n"]);
    }
    std::fs::create_dir_all(folder(FORMAT)).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn every_record_of_every_format_reads_as_what_was_written() {
    let samples: BTreeMap<_, _> = samples().into_iter().collect();
    for format in 1..=FORMAT {
        for (name, (_, bytes)) in golden(format) {
            assert_eq!(bytes[0], format, "{name}");
            let sample = samples.get(name.as_str()).expect("no sample may go");
            assert_eq!(
                codec::decode(&bytes).as_ref(),
                Ok(sample),
                "format {format}: {name}"
            );
        }
    }
}

#[test]
fn what_is_written_now_is_what_the_golden_files_say() {
    let golden = golden(FORMAT);
    for (name, entry) in samples() {
        let bytes = codec::encode(&entry).unwrap();
        let Some((laid_out, written)) = golden.get(name) else {
            panic!("`{name}` is new: add it with `write_the_golden_records`");
        };
        let now = format!("{}{}", shape(&bytes), layout(&entry));
        assert_eq!(
            &now, laid_out,
            "the layout of `{name}` has changed, and stored records would be misread. Variants go to the end. For a \
             field or a variant raise the layout of every record that holds it (`codec/shape.rs`), read the old one on, \
             and add samples under new names"
        );
        assert_eq!(&bytes, written, "{name}");
    }
}

#[test]
fn every_variant_is_among_the_samples_without_a_gap() {
    let mut seen: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for (_, entry) in samples() {
        let text = layout(&entry);
        let after = |mark: &str| -> Option<u32> {
            let digits: String = text
                .split_once(mark)?
                .1
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            digits.parse().ok()
        };
        for mark in [
            ",record:", "kind:", "order:", "why:", "verdict:", "output:", "answer:", "subject:",
        ] {
            seen.entry(mark).or_default().extend(after(mark));
        }
    }
    for (mark, count) in [
        (",record:", 19),
        ("kind:", 4),
        ("order:", 5),
        ("why:", 7),
        ("verdict:", 4),
        ("output:", 2),
        ("subject:", 3),
    ] {
        assert_eq!(seen[mark], (0..count).collect(), "{mark}");
    }
    // A command line as text is read, and never written in the place of an answer.
    assert_eq!(seen["answer:"], (1..5).collect());
}

/// What a careless change would make of the vocabulary: each of these decodes without an error where nothing guards it.
mod careless {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Before {
        Started { step: u32, attempt: u16 },
        Done { step: u32, attempt: u16 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Inserted {
        Started { step: u32, attempt: u16 },
        Paused { step: u32, attempt: u16 },
        Done { step: u32, attempt: u16 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Swapped {
        Started { attempt: u16, step: u32 },
        Done { attempt: u16, step: u32 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Dropped {
        Started { step: u32 },
        Done { step: u32 },
    }
}

#[test]
fn what_postcard_misreads_in_silence_changes_the_layout() {
    use careless::{Before, Dropped, Inserted, Swapped};
    let written = Before::Done {
        step: 7,
        attempt: 1,
    };
    let bytes = postcard::to_allocvec(&written).unwrap();
    assert_eq!(
        postcard::from_bytes::<Inserted>(&bytes),
        Ok(Inserted::Paused {
            step: 7,
            attempt: 1
        })
    );
    assert_eq!(
        postcard::from_bytes::<Swapped>(&bytes),
        Ok(Swapped::Done {
            attempt: 7,
            step: 1
        })
    );
    assert_eq!(
        postcard::from_bytes::<Dropped>(&bytes),
        Ok(Dropped::Done { step: 7 })
    );
    let before = layout(&written);
    assert_eq!(before, "1Done{step:u32,attempt:u16}");
    assert_ne!(
        before,
        layout(&Inserted::Done {
            step: 7,
            attempt: 1
        })
    );
    assert_ne!(
        before,
        layout(&Swapped::Done {
            attempt: 1,
            step: 7
        })
    );
    assert_ne!(before, layout(&Dropped::Done { step: 7 }));
}
