//! Whether a journal keeps the contract of [`Journal`], asked of the journal itself.
//!
//! Behind the feature `testing`, so that a journal of another crate is asked the same questions as the two of this one.
//! What a power cut leaves cannot be asked from here: a store has to show that for itself.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Append, BODY_MAX, GENESIS, Journal, JournalError, chain};
use crate::id::{Digest, RunId};

/// A place where a journal can be opened again and again, as processes do one after another.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens what is there. Called again only after the journal of the call before was dropped.
    async fn open(&self) -> Arc<dyn Journal>;
}

/// A clause that the journal does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The clause, as a sentence.
    pub clause: &'static str,
    /// What was found instead.
    pub finding: String,
}

/// Every clause that the journal does not keep; at least one. Shown as one line for each.
#[derive(Clone, PartialEq, Eq)]
pub struct Breaches(pub Vec<Breach>);

impl fmt::Display for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the journal does not conform")?;
        for Breach { clause, finding } in &self.0 {
            write!(f, "\n  {clause}: {finding}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Breaches {}

/// What does not fit, in words.
struct Finding(String);

impl From<JournalError> for Finding {
    fn from(error: JournalError) -> Self {
        Finding(format!("it answered: {error}"))
    }
}

impl From<tokio::task::JoinError> for Finding {
    fn from(error: tokio::task::JoinError) -> Self {
        Finding(format!("a writer broke: {error}"))
    }
}

type Outcome = Result<(), Finding>;

/// Asks every clause, each in a place of its own.
///
/// # Errors
/// Every breach that was found.
pub async fn conforms<P: Place>(place: impl Fn() -> P) -> Result<(), Breaches> {
    let mut breaches = Vec::new();
    macro_rules! ask {
        ($($clause:literal: $ask:ident,)*) => {
            $(if let Err(Finding(finding)) = $ask(&place()).await {
                breaches.push(Breach { clause: $clause, finding });
            })*
        };
    }
    ask! {
        "records are numbered, chained and read back as they were written": numbered_and_chained,
        "a run that was never written is empty": empty_at_first,
        "a number is given once and a gap is refused": numbers_once,
        "an older epoch is fenced off, even after reopening": older_epochs_fenced,
        "a batch is written whole or not at all": all_or_nothing,
        "an empty batch is refused and harms nothing": empty_batches,
        "a large batch is one commit": large_batches,
        "a hundred writers at once do not disturb each other": many_writers,
        "of many writers that want the same number one gets it": one_winner,
        "reopening shows everything and goes on where it ended": reopened,
        "the name of a run that begins another name is no trap": names,
        "an object is stored once and comes back as it was": objects,
    }
    if breaches.is_empty() {
        Ok(())
    } else {
        Err(Breaches(breaches))
    }
}

fn run(name: &str) -> RunId {
    name.parse().expect("it is a run id")
}

fn batch(name: &str, first_seq: u64, epoch: u64, bodies: &[&[u8]]) -> Append {
    Append {
        run: run(name),
        first_seq,
        epoch,
        bodies: bodies.iter().map(|b| b.to_vec()).collect(),
    }
}

fn same<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    let mut found = format!("{found:?}");
    if found.len() > 300 {
        found = found.chars().take(300).collect();
    }
    Err(Finding(format!(
        "{what} is {found} instead of {expected:?}"
    )))
}

fn refused<T: fmt::Debug>(
    what: &str,
    answer: Result<T, JournalError>,
    fits: impl FnOnce(&JournalError) -> bool,
) -> Outcome {
    match answer {
        Err(error) if fits(&error) => Ok(()),
        other => Err(Finding(format!("{what} was answered with {other:?}"))),
    }
}

async fn numbered_and_chained(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    let head = journal.append(batch("a", 0, 3, &[b"x", b""])).await?;
    let zero = chain(&GENESIS, &run("a"), 0, 3, b"x");
    let one = chain(&zero, &run("a"), 1, 3, b"");
    same("the head", &(head.seq, head.epoch, head.hash), &(1, 3, one))?;
    let records = journal.read(&run("a")).await?;
    let read: Vec<_> = records
        .iter()
        .map(|r| (r.seq, r.epoch, r.body.clone(), r.hash))
        .collect();
    let expected = vec![(0, 3, b"x".to_vec(), zero), (1, 3, Vec::new(), one)];
    same("what is read", &read, &expected)?;
    same(
        "the head later",
        &journal.head(&run("a")).await?,
        &Some(head),
    )
}

async fn empty_at_first(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    same("what is read", &journal.read(&run("a")).await?, &Vec::new())?;
    same("the head", &journal.head(&run("a")).await?, &None)?;
    same("the list of runs", &journal.runs().await?, &Vec::new())
}

async fn numbers_once(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    journal.append(batch("a", 0, 1, &[b"x"])).await?;
    for asked in [0, 2] {
        let answer = journal.append(batch("a", asked, 1, &[b"y"])).await;
        refused(
            &format!("number {asked} after 0"),
            answer,
            |e| matches!(e, JournalError::Conflict { next: 1, wanted, .. } if *wanted == asked),
        )?;
    }
    same(
        "the number of records",
        &journal.read(&run("a")).await?.len(),
        &1,
    )?;
    journal.append(batch("a", 1, 1, &[b"y"])).await?;
    Ok(())
}

async fn older_epochs_fenced(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    journal.append(batch("a", 0, 5, &[b"x"])).await?;
    drop(journal);
    let journal = place.open().await;
    let answer = journal.append(batch("a", 1, 4, &[b"y"])).await;
    refused("epoch 4 after 5", answer, |e| {
        matches!(
            e,
            JournalError::Fenced {
                ours: 4,
                seen: 5,
                ..
            }
        )
    })?;
    journal.append(batch("a", 1, 6, &[b"y"])).await?;
    journal.append(batch("b", 0, 1, &[b"y"])).await?;
    Ok(())
}

async fn all_or_nothing(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    let large = vec![0; BODY_MAX + 1];
    let answer = journal.append(batch("a", 0, 1, &[b"x", &large])).await;
    refused(
        "a body that is too large",
        answer,
        |e| matches!(e, JournalError::TooLarge { size } if *size == BODY_MAX + 1),
    )?;
    same("the head", &journal.head(&run("a")).await?, &None)?;
    same("the list of runs", &journal.runs().await?, &Vec::new())?;
    let most = vec![7; BODY_MAX];
    journal.append(batch("a", 0, 1, &[&most])).await?;
    let records = journal.read(&run("a")).await?;
    same(
        "the largest body",
        &records.first().map(|r| &r.body),
        &Some(&most),
    )
}

async fn empty_batches(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    let answer = journal.append(batch("a", 0, 1, &[])).await;
    refused("an empty batch", answer, |e| {
        matches!(e, JournalError::Empty { .. })
    })?;
    same("the list of runs", &journal.runs().await?, &Vec::new())?;
    journal.append(batch("a", 0, 1, &[b"x"])).await?;
    Ok(())
}

async fn large_batches(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    let body = vec![9; BODY_MAX];
    let bodies: Vec<&[u8]> = (0..50).map(|_| &body[..]).collect();
    journal.append(batch("a", 0, 1, &bodies)).await?;
    journal.append(batch("a", 50, 1, &bodies)).await?;
    drop(journal);
    let journal = place.open().await;
    same(
        "the number of records",
        &journal.read(&run("a")).await?.len(),
        &100,
    )
}

async fn many_writers(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    let writers: Vec<_> = (0..100)
        .map(|n| tokio::spawn(write_and_read(Arc::clone(&journal), n)))
        .collect();
    for writer in writers {
        writer.await??;
    }
    drop(journal);
    let journal = place.open().await;
    same("the number of runs", &journal.runs().await?.len(), &100)?;
    for n in 0..100 {
        let records = journal.read(&run(&format!("w{n:03}"))).await?;
        let last = records.last().map(|r| r.body.clone());
        let expected = Some(format!("{n} 19").into_bytes());
        same(
            "a writer's records",
            &(records.len(), last),
            &(20, expected),
        )?;
    }
    Ok(())
}

async fn write_and_read(journal: Arc<dyn Journal>, n: u32) -> Outcome {
    let name = format!("w{n:03}");
    for seq in 0..20 {
        let body = format!("{n} {seq}");
        let append = batch(&name, seq, 1, &[body.as_bytes()]);
        journal.append(append).await?;
        let seen = journal.read(&run(&name)).await?.len() as u64;
        same("what was acknowledged and is read", &seen, &(seq + 1))?;
    }
    Ok(())
}

async fn one_winner(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    let writers: Vec<_> = (0..50u8)
        .map(|n| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { journal.append(batch("a", 0, 1, &[&[n]])).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        won += usize::from(writer.await?);
    }
    let records = journal.read(&run("a")).await?.len();
    same("winners and records", &(won, records), &(1, 1))
}

async fn reopened(place: &impl Place) -> Outcome {
    for round in 0..5 {
        let journal = place.open().await;
        for name in ["b", "a"] {
            let there = journal.read(&run(name)).await?.len() as u64;
            same("what an earlier process left", &there, &(round * 30))?;
            for seq in round * 30..(round + 1) * 30 {
                journal
                    .append(batch(name, seq, round, &[&[1; 300]]))
                    .await?;
            }
        }
    }
    let journal = place.open().await;
    same(
        "the list of runs",
        &journal.runs().await?,
        &vec![run("a"), run("b")],
    )?;
    let head = journal.head(&run("b")).await?;
    same("the head", &head.map(|h| (h.seq, h.epoch)), &Some((149, 4)))
}

async fn names(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    for (name, body) in [("r-1", b"1"), ("r-12", b"2"), ("r", b"3"), ("r-1-", b"4")] {
        journal.append(batch(name, 0, 1, &[body])).await?;
    }
    drop(journal);
    let journal = place.open().await;
    let names = ["r", "r-1", "r-1-", "r-12"].map(run).to_vec();
    same("the list of runs", &journal.runs().await?, &names)?;
    for name in &names {
        same("the records of one", &journal.read(name).await?.len(), &1)?;
    }
    Ok(())
}

async fn objects(place: &impl Place) -> Outcome {
    let journal = place.open().await;
    let bytes = vec![5; 300_000];
    let digest = journal.put(&bytes).await?;
    same("the digest", &digest, &Digest::of(&bytes))?;
    same(
        "the digest of the same again",
        &journal.put(&bytes).await?,
        &digest,
    )?;
    drop(journal);
    let journal = place.open().await;
    let same_bytes = journal.get(&digest).await? == bytes;
    same("whether the bytes came back", &same_bytes, &true)?;
    let unknown = Digest::of(b"unknown");
    refused(
        "an unknown digest",
        journal.get(&unknown).await,
        |e| matches!(e, JournalError::NoObject(missing) if *missing == unknown),
    )
}
