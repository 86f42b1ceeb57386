//! Steps that change a database, asked on a server of their own.

use super::*;
use crate::means::psql::{Database, Pg};
use crate::means::read_only::freeze::Freeze;
use crate::means::read_only::{freeze, is_on, thaw};
use crate::pg::Thaw;
use crate::pg::tests::cluster::for_a_step;

/// A database that is open before the step, or frozen.
struct Server {
    pg: Pg,
    db: Database,
    frozen: bool,
}

impl Server {
    async fn new(frozen: bool) -> Server {
        let (pg, db) = for_a_step("CREATE TABLE public.a (id int);").await;
        Server { pg, db, frozen }
    }
}

#[async_trait]
impl World for Server {
    async fn reset(&self) {
        let put = if self.frozen {
            freeze(&self.pg).await
        } else {
            thaw(&self.pg).await
        };
        put.unwrap();
    }

    async fn state(&self) -> String {
        format!("read-only: {}", is_on(&self.pg).await.unwrap())
    }

    fn resources(&self, line: &Line) -> Resources {
        Resources::default().with(over(&Hosts::new().with(Local::new("here")), line))
    }

    fn cuts(&self) -> usize {
        5
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn freezing_conforms() {
    let server = Server::new(false).await;
    let step = Freeze {
        db: server.db.clone(),
        ended_by: None,
        watchdog: None,
    };
    let found = asked(step, &server).await.unwrap();
    assert!(found.exchanges > 0 && found.undo_exchanges > 0, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letting_writers_in_conforms() {
    let server = Server::new(true).await;
    let step = Thaw {
        db: server.db.clone(),
        look: None,
        watchdog: None,
    };
    let found = asked(step, &server).await.unwrap();
    assert!(found.exchanges > 0, "{found:?}");
}

#[test]
fn every_kind_of_the_list_is_asked_once() {
    let sources = [include_str!("../tests.rs"), include_str!("servers.rs")];
    let calls =
        sources.map(|text| text.matches(" = asked(").count() + text.matches("    asked(").count());
    // Without the two texts of the line above.
    assert_eq!(calls.iter().sum::<usize>() - 2, ASKED.len());
}
