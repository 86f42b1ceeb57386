//! What every journal must do, asked of each of them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::sync::Arc;

use flow_engine::id::{Digest, RunId};
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, BODY_MAX, GENESIS, Journal, JournalError, chain};

/// A place where a journal can be opened again and again.
enum Place {
    Memory(Arc<MemoryJournal>),
    Sled(tempfile::TempDir),
}

impl Place {
    fn open(&self) -> Arc<dyn Journal> {
        match self {
            Place::Memory(journal) => Arc::clone(journal) as Arc<dyn Journal>,
            Place::Sled(dir) => {
                let options = OpenOptions {
                    segment_bytes: 64 << 10,
                    ..OpenOptions::default()
                };
                let (journal, report) = SledJournal::open(dir.path(), &options).unwrap();
                assert_eq!(report.repaired, [], "nothing was damaged");
                Arc::new(journal)
            }
        }
    }
}

async fn on_each<F: Future<Output = ()>>(test: impl Fn(Place) -> F) {
    test(Place::Memory(Arc::default())).await;
    test(Place::Sled(tempfile::tempdir().unwrap())).await;
}

fn run(name: &str) -> RunId {
    name.parse().unwrap()
}

fn batch(name: &str, first_seq: u64, epoch: u64, bodies: &[&[u8]]) -> Append {
    Append {
        run: run(name),
        first_seq,
        epoch,
        bodies: bodies.iter().map(|b| b.to_vec()).collect(),
    }
}

#[tokio::test]
async fn records_are_numbered_chained_and_read_back_as_they_were_written() {
    on_each(|place| async move {
        let journal = place.open();
        let first = journal.append(batch("a", 0, 3, &[b"x", b""])).await;
        let head = first.unwrap();
        let zero = chain(&GENESIS, &run("a"), 0, 3, b"x");
        let one = chain(&zero, &run("a"), 1, 3, b"");
        assert_eq!((head.seq, head.epoch, head.hash), (1, 3, one));
        let records = journal.read(&run("a")).await.unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!((&records[0].body[..], records[0].hash), (&b"x"[..], zero));
        assert_eq!((records[1].seq, records[1].epoch), (1, 3));
        assert_eq!(journal.head(&run("a")).await.unwrap(), Some(head));
    })
    .await;
}

#[tokio::test]
async fn a_run_that_was_never_written_is_empty() {
    on_each(|place| async move {
        let journal = place.open();
        assert_eq!(journal.read(&run("a")).await.unwrap(), []);
        assert_eq!(journal.head(&run("a")).await.unwrap(), None);
        assert_eq!(journal.runs().await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_number_is_given_once_and_a_gap_is_refused() {
    on_each(|place| async move {
        let journal = place.open();
        journal.append(batch("a", 0, 1, &[b"x"])).await.unwrap();
        for asked in [0, 2] {
            match journal.append(batch("a", asked, 1, &[b"y"])).await {
                Err(JournalError::Conflict { next, wanted, .. }) => {
                    assert_eq!((next, wanted), (1, asked));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(journal.read(&run("a")).await.unwrap().len(), 1);
        journal.append(batch("a", 1, 1, &[b"y"])).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_older_epoch_is_fenced_off_even_after_reopening() {
    on_each(|place| async move {
        let journal = place.open();
        journal.append(batch("a", 0, 5, &[b"x"])).await.unwrap();
        drop(journal);
        let journal = place.open();
        match journal.append(batch("a", 1, 4, &[b"y"])).await {
            Err(JournalError::Fenced { ours, seen, .. }) => assert_eq!((ours, seen), (4, 5)),
            other => panic!("{other:?}"),
        }
        journal.append(batch("a", 1, 6, &[b"y"])).await.unwrap();
        journal.append(batch("b", 0, 1, &[b"y"])).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    on_each(|place| async move {
        let journal = place.open();
        let large = vec![0; BODY_MAX + 1];
        match journal.append(batch("a", 0, 1, &[b"x", &large])).await {
            Err(JournalError::TooLarge { size }) => assert_eq!(size, BODY_MAX + 1),
            other => panic!("{other:?}"),
        }
        assert_eq!(journal.head(&run("a")).await.unwrap(), None);
        assert_eq!(journal.runs().await.unwrap(), []);
        let most = vec![7; BODY_MAX];
        journal.append(batch("a", 0, 1, &[&most])).await.unwrap();
        assert_eq!(journal.read(&run("a")).await.unwrap()[0].body, most);
    })
    .await;
}

#[tokio::test]
async fn an_empty_batch_is_refused_and_harms_nothing() {
    on_each(|place| async move {
        let journal = place.open();
        let refused = journal.append(batch("a", 0, 1, &[])).await;
        assert!(
            matches!(refused, Err(JournalError::Empty { .. })),
            "{refused:?}"
        );
        assert_eq!(journal.runs().await.unwrap(), []);
        journal.append(batch("a", 0, 1, &[b"x"])).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_batch_larger_than_a_segment_is_one_commit() {
    on_each(|place| async move {
        let journal = place.open();
        let body = vec![9; BODY_MAX];
        let bodies: Vec<&[u8]> = (0..50).map(|_| &body[..]).collect();
        journal.append(batch("a", 0, 1, &bodies)).await.unwrap();
        journal.append(batch("a", 50, 1, &bodies)).await.unwrap();
        drop(journal);
        let journal = place.open();
        assert_eq!(journal.read(&run("a")).await.unwrap().len(), 100);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_writers_at_once_do_not_disturb_each_other() {
    on_each(|place| async move {
        let journal = place.open();
        let writers: Vec<_> = (0..100)
            .map(|n| tokio::spawn(write_and_read(Arc::clone(&journal), n)))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        drop(journal);
        let journal = place.open();
        assert_eq!(journal.runs().await.unwrap().len(), 100);
        for n in 0..100 {
            let records = journal.read(&run(&format!("w{n:03}"))).await.unwrap();
            assert_eq!(records.len(), 20);
            assert_eq!(records[19].body, format!("{n} 19").into_bytes());
        }
    })
    .await;
}

async fn write_and_read(journal: Arc<dyn Journal>, n: u32) {
    let name = format!("w{n:03}");
    for seq in 0..20 {
        let body = format!("{n} {seq}");
        let append = batch(&name, seq, 1, &[body.as_bytes()]);
        journal.append(append).await.unwrap();
        let seen = journal.read(&run(&name)).await.unwrap();
        assert_eq!(seen.len() as u64, seq + 1, "what was acknowledged is read");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_that_want_the_same_number_one_gets_it() {
    on_each(|place| async move {
        let journal = place.open();
        let writers: Vec<_> = (0..50u8)
            .map(|n| {
                let journal = Arc::clone(&journal);
                tokio::spawn(async move { journal.append(batch("a", 0, 1, &[&[n]])).await.is_ok() })
            })
            .collect();
        let mut won = 0;
        for writer in writers {
            won += usize::from(writer.await.unwrap());
        }
        assert_eq!(won, 1);
        assert_eq!(journal.read(&run("a")).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn reopening_shows_everything_and_goes_on_where_it_ended() {
    on_each(|place| async move {
        for round in 0..5 {
            let journal = place.open();
            for name in ["b", "a"] {
                let there = journal.read(&run(name)).await.unwrap().len() as u64;
                assert_eq!(there, round * 30);
                for seq in round * 30..(round + 1) * 30 {
                    let append = batch(name, seq, round, &[&[1; 300]]);
                    journal.append(append).await.unwrap();
                }
            }
        }
        let journal = place.open();
        assert_eq!(journal.runs().await.unwrap(), [run("a"), run("b")]);
        let head = journal.head(&run("b")).await.unwrap().unwrap();
        assert_eq!((head.seq, head.epoch), (149, 4));
    })
    .await;
}

#[tokio::test]
async fn the_name_of_a_run_that_starts_another_name_is_no_trap() {
    on_each(|place| async move {
        let journal = place.open();
        for (name, body) in [("r-1", b"1"), ("r-12", b"2"), ("r", b"3"), ("r-1-", b"4")] {
            journal.append(batch(name, 0, 1, &[body])).await.unwrap();
        }
        drop(journal);
        let journal = place.open();
        let names = ["r", "r-1", "r-1-", "r-12"].map(run);
        assert_eq!(journal.runs().await.unwrap(), names);
        for name in &names {
            assert_eq!(journal.read(name).await.unwrap().len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn an_object_is_stored_once_and_comes_back_as_it_was() {
    on_each(|place| async move {
        let journal = place.open();
        let bytes = vec![5; 300_000];
        let digest = journal.put(&bytes).await.unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(journal.put(&bytes).await.unwrap(), digest);
        drop(journal);
        let journal = place.open();
        assert_eq!(journal.get(&digest).await.unwrap(), bytes);
        let unknown = Digest::of(b"unknown");
        match journal.get(&unknown).await {
            Err(JournalError::NoObject(missing)) => assert_eq!(missing, unknown),
            other => panic!("{other:?}"),
        }
    })
    .await;
}
