//! A release by an ordinary role that owns the database, from the backup to the way back.

use super::super::cluster::{as_superuser, databases, ordinary, value};
use super::*;

/// A database of an ordinary owner that was granted exactly what is asked for, with another role's rights and settings.
async fn shop() -> Pg {
    let pg = ordinary(SHOP).await;
    let (name, me) = (pg.db.name.clone(), pg.db.user.clone());
    as_superuser(&pg)
        .query(&format!(
            "GRANT pg_read_all_settings TO {me}; CREATE ROLE reader_{name};"
        ))
        .await
        .unwrap();
    pg.query(&format!(
        "GRANT SELECT ON public.\"Customer\" TO reader_{name}; GRANT CONNECT ON DATABASE {name} TO reader_{name}; \
         ALTER DATABASE {name} SET work_mem = '5MB'; ALTER DATABASE {name} SET search_path = public;"
    ))
    .await
    .unwrap();
    let asked = super::super::super::rights::look(&pg, Purpose::Release).await;
    let missing: Vec<Right> = asked.unwrap().into_iter().filter(|r| !r.ok).collect();
    assert!(missing.is_empty(), "nothing more is asked for: {missing:?}");
    pg
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_owner_releases_and_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let pg = shop().await;
    let sql = "ALTER TABLE public.\"Customer\" ADD COLUMN x int;";
    let (run, stop) = drive("r-plain", plan(&pg.db, dir.path().to_str().unwrap(), sql)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    assert!(databases(&pg, "r_plain").await.is_empty());
    let sql = "DELETE FROM public.\"Order\" WHERE id = 77;";
    let (run, stop) = drive("r-back", plan(&pg.db, dir.path().to_str().unwrap(), sql)).await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    assert_eq!(
        value(&pg, "SELECT count(*) FROM public.\"Order\";").await,
        "5000"
    );
    assert_eq!(databases(&pg, "r_back").await.len(), 1);
    assert_eq!(value(&pg, "SHOW work_mem;").await, "5MB");
    let reads = format!(
        "SELECT has_table_privilege('reader_{}', 'public.\"Customer\"', 'SELECT');",
        pg.db.name
    );
    assert_eq!(value(&pg, &reads).await, "t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_owner_rehearses() {
    let dir = tempfile::tempdir().unwrap();
    let pg = shop().await;
    let mut p = Planner::new("rehearsal", "1", "stage", "test");
    p.phase("stage", "Stage", OnFailure::Park, |p| {
        let rehearsal = RestoreRehearsal {
            db: pg.db.clone(),
            dir: dir.path().to_str().unwrap().to_owned(),
            apart_from: None,
        };
        p.step("stage/rehearsal", rehearsal);
    });
    let (run, stop) = drive("r-plainre", p.finish().unwrap()).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    assert!(databases(&pg, "r_plainre").await.is_empty());
}
