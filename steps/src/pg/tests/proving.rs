use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::super::capture::{self, Look};
use super::super::proof::prove;
use super::super::scratch;
use super::super::space::{Sizes, before_dump, before_release};
use super::cluster::{database, databases, value};
use super::*;
use crate::means::host::{Command, HostExt as _, Local};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_whole_private_and_proven_by_a_restore() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    for (key, compression) in [
        ("r-prove/a", Compression::Zstd),
        ("r-prove/b", Compression::Gzip),
    ] {
        let backup = take_as(&pg, dir.path().to_str().unwrap(), key, compression)
            .await
            .unwrap();
        assert_eq!(backup.state.tables["public.Customer"].rows, 1000);
        assert_eq!(backup.state.rows(), 9000);
        let mode = std::fs::metadata(&backup.path)
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let proof = prove(&pg, &backup, "r-prove", &|_| {}).await.unwrap();
        assert_eq!((proof.tables, proof.rows), (3, 9000));
    }
    assert!(
        databases(&pg, "r_prove").await.is_empty(),
        "the scratch database is left"
    );
    assert_eq!(files(dir.path()).len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_backup_of_the_same_step_is_reused_and_a_part_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    std::fs::write(dir.path().join("prod-r-again-b.sql.zst.part"), "half").unwrap();
    let first = take(&pg, folder, "r-again/b").await.unwrap();
    pg.query("INSERT INTO public.\"AuditLog\" VALUES ('later');")
        .await
        .unwrap();
    assert_eq!(take(&pg, folder, "r-again/b").await.unwrap(), first);
    let other = take(&pg, folder, "r-again/c").await.unwrap();
    assert_eq!(other.previous_raw_bytes, Some(first.raw_bytes));
    assert!(files(dir.path()).iter().all(|f| !f.contains(".part")));
    // A finished file that was damaged since is not finished.
    std::fs::write(&first.path, "x").unwrap();
    assert_ne!(
        take(&pg, folder, "r-again/b").await.unwrap().state,
        first.state
    );
}

/// A `pg_dump` that writes part of a real dump and is then killed, or lies about having ended well.
fn fake_dump(dir: &std::path::Path, real: &str, end: &str) -> String {
    for tool in ["psql", "pg_dump"] {
        let path = dir.join(tool);
        let text = if tool == "psql" {
            format!("#!/bin/sh\nexec {real}/psql \"$@\"\n")
        } else {
            format!(
                "#!/bin/sh\n[ \"$1\" = --version ] && exec {real}/pg_dump --version\n{real}/pg_dump \"$@\" > \"$0.$$\"\nhead -c 60000 \"$0.$$\"\n{end}\n"
            )
        };
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_dies_or_lies_half_way_leaves_no_file() {
    let pg = database(SHOP).await;
    let real = pg.db.bin.clone().unwrap();
    for (end, word) in [("kill -9 $$", "KILL"), ("exit 0", "closing line")] {
        let (dir, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut odd = pg.clone();
        odd.db.bin = Some(fake_dump(tools.path(), &real, end));
        let error = take(&odd, dir.path().to_str().unwrap(), "r-half/b")
            .await
            .unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(files(dir.path()).is_empty(), "{:?}", files(dir.path()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_would_not_fit_does_not_begin_and_a_full_disk_is_told() {
    let pg = database(SHOP).await;
    pg.query("CREATE TABLE public.noise AS SELECT md5(g::text) || md5((g * 7)::text) AS x FROM generate_series(1, 60000) g;").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let here = Local::new("here");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none", folder]);
    if here.run(&mount).await.is_err() {
        // Without the right to mount there is no small disk.
        return;
    }
    let refused = take(&pg, folder, "r-full/b").await;
    let none = files(dir.path());
    // The last one was small, and the tables have not grown: then it begins, and the disk itself says no.
    let small = Sizes {
        bytes: 1,
        raw_bytes: u64::MAX,
    };
    let fits = before_dump(&pg, folder, Some(small), false).await;
    let full = pg
        .write_small(folder, &format!("{folder}/x"), vec![7; 1 << 20])
        .await;
    here.run(&Command::new("umount").arg(folder)).await.unwrap();
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("bytes are needed (a dump in `"), "{error}");
    assert!(
        error.contains("262144 are free there. Nothing was begun"),
        "{error}"
    );
    assert!(none.is_empty(), "{none:?}");
    fits.unwrap();
    let error = full.unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_file_and_a_flipped_byte_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-flip/b")
        .await
        .unwrap();
    let good = std::fs::read(&backup.path).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (bytes, word) in [(&good[..middle], "was cut"), (&flipped[..], "damaged")] {
        std::fs::write(&backup.path, bytes).unwrap();
        let error = prove(&pg, &backup, "r-flip", &|_| {}).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    std::fs::remove_file(&backup.path).unwrap();
    assert!(prove(&pg, &backup, "r-flip", &|_| {}).await.is_err());
    assert!(databases(&pg, "r_flip").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_with_a_changed_row_fails_the_proof_by_table() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let mut backup = take(&pg, dir.path().to_str().unwrap(), "r-row/b")
        .await
        .unwrap();
    // As many rows, one value different: a forged file with a right digest.
    let text = zstd::decode_all(&std::fs::read(&backup.path).unwrap()[..]).unwrap();
    let text = String::from_utf8(text)
        .unwrap()
        .replacen("n\\\\\\t7\t", "n\\\\\\t8\t", 1);
    let forged = zstd::encode_all(text.as_bytes(), 3).unwrap();
    std::fs::write(&backup.path, &forged).unwrap();
    backup.bytes = forged.len() as u64;
    backup.sha256 = pg.sha256(&backup.path).await.unwrap();
    let error = prove(&pg, &backup, "r-row", &|_| {}).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("public.Customer has other values"),
        "{error}"
    );
    assert!(
        databases(&pg, "r_row").await.is_empty(),
        "the scratch database is left"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_is_the_same_twice_and_differs_when_rows_are_swapped() {
    let pg = database(SHOP).await;
    let one = capture::capture(&pg, Look::All).await.unwrap();
    let two = capture::capture(&pg, Look::All).await.unwrap();
    assert!(one.differences(&two, true).is_empty());
    assert_eq!(one.schema_digest, two.schema_digest);
    pg.query("UPDATE public.\"Order\" SET amount = amount + 1 WHERE id = 3;")
        .await
        .unwrap();
    let three = capture::capture(&pg, Look::All).await.unwrap();
    let odd = one.differences(&three, true);
    assert_eq!(odd.len(), 1);
    assert!(
        odd[0].contains("public.Order has other values in its rows (in 1 of"),
        "{odd:?}"
    );
    // Two equal rows more and two less would cancel in an xor, not in a sum.
    pg.query("INSERT INTO public.\"AuditLog\" VALUES ('x'), ('x');")
        .await
        .unwrap();
    let four = capture::capture(&pg, Look::All).await.unwrap();
    assert_ne!(
        three.tables["public.AuditLog"].rows_hash,
        four.tables["public.AuditLog"].rows_hash
    );
    let missing = capture::capture(&pg, Look::Critical(&["Nope".into()]))
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("public.Nope"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_flow_did_not_make_is_never_dropped() {
    let pg = database("").await;
    let name = scratch::name_for("proof", "r-mine");
    pg.maintenance()
        .query(&format!("CREATE DATABASE \"{name}\" TEMPLATE template0;"))
        .await
        .unwrap();
    pg.on(&name)
        .query("CREATE TABLE public.precious (id int);")
        .await
        .unwrap();
    let error = scratch::drop_own(&pg, &name, "r-mine").await.unwrap_err();
    assert!(
        error.to_string().contains("was not made by this run"),
        "{error}"
    );
    assert!(scratch::drop_own(&pg, &pg.db.name, "r-mine").await.is_err());
    assert_eq!(databases(&pg, &name).await, [name]);
    assert_eq!(value(&pg, "SELECT 1;").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_says_why_it_died_and_no_value_ends_an_answer() {
    let pg = database("").await;
    let mut session = pg.session().await.unwrap();
    let lines = session
        .ask("SELECT E'flow-x\\nflow-y';\nSELECT 2;")
        .await
        .unwrap();
    assert_eq!(lines, ["flow-x", "flow-y", "2"]);
    let error = tokio::time::timeout(Duration::from_mins(1), session.ask("SELECT 1/0;"))
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");
}

/// What trips a comparison that trusts types, names or order.
const ODD: &str = r#"
CREATE SCHEMA "we.ird ""s";
CREATE TYPE public.mood AS ENUM ('b', 'a');
CREATE DOMAIN public.mail AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE "we.ird ""s"."T COPY x.y (a) FROM stdin;" (" id" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "it's" text);
INSERT INTO "we.ird ""s"."T COPY x.y (a) FROM stdin;" ("it's") VALUES (E'\\.'), (E'\n\\.\n'), (NULL);
CREATE TABLE public.nothing ();
INSERT INTO public.nothing DEFAULT VALUES;
CREATE TABLE public.types (a public.mood[], b public.mood, c public.mail, d xml, e point, f int4range, g interval, h float8, i numeric, j bytea, k json, l text[], m "char", n inet);
INSERT INTO public.types VALUES ('{a,b}', 'a', 'x@example.org', '<a/>', '(1,2)', '[1,3)', '1 mon', 0.1, 1.10, '\x00ff', '{"a": 1}', '{x,NULL}', 'c', '10.0.0.1');
CREATE TABLE public.parts (k int, v text, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE public.part1 PARTITION OF public.parts FOR VALUES FROM (0) TO (10);
CREATE TABLE public.part2 (v text, k int NOT NULL);
ALTER TABLE public.parts ATTACH PARTITION public.part2 FOR VALUES FROM (10) TO (20);
INSERT INTO public.parts SELECT g, 'v' FROM generate_series(0, 19) g;
CREATE TABLE public.base (k int); CREATE TABLE public.child () INHERITS (public.base);
INSERT INTO public.base VALUES (1); INSERT INTO public.child VALUES (2);
CREATE MATERIALIZED VIEW public.mv AS SELECT count(*) FROM public.parts;
CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS $$SELECT 1$$;
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_types_partitions_and_inheritance_survive_the_proof() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(ODD).await;
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-odd/b")
        .await
        .unwrap();
    prove(&pg, &backup, "r-odd", &|_| {}).await.unwrap();
    let tables: Vec<_> = backup
        .state
        .tables
        .iter()
        .map(|(k, t)| (k.as_str(), t.rows))
        .collect();
    assert_eq!(
        tables,
        [
            ("public.base", 1),
            ("public.child", 1),
            ("public.nothing", 1),
            ("public.part1", 10),
            ("public.part2", 10),
            ("public.types", 1),
            ("we.ird \"s.T COPY x.y (a) FROM stdin;", 3),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_would_not_fit_or_whose_room_is_unknown_does_not_begin() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let backup = take(&pg, folder, "r-room/b").await.unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let df = |text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = bin.join("df");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let mut other = pg.clone();
    let path = format!("PATH={}:/usr/bin:/bin", bin.display());
    other.db.exec.push(path);
    let line = |free: u64| {
        format!(
            "echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo \"/dev/my disk 9 1 {free} 12% $4\""
        )
    };
    df(&line(70_000));
    let error = prove(&other, &backup, "r-room", &|_| {}).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("a copy in `/tmp/") && error.contains("and 71680000 are free there"),
        "{error}"
    );
    let release = before_release(&other, folder, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(release.contains("71680000 are free"), "{release}");
    // Room for both is asked for before the dump of a rehearsal begins, and what lies there already is named.
    let mark = scratch::Mark::new("r-old", "proof", "loading", "");
    let old = scratch::create(&pg, &pg.db.name, "flow_proof_r_old", &mark)
        .await
        .unwrap();
    let before = before_dump(&other, folder, None, true)
        .await
        .unwrap_err()
        .to_string();
    assert!(before.contains("`flow_proof_r_old` ("), "{before}");
    scratch::drop_own(&pg, &old.db.name, "r-old").await.unwrap();
    df("exit 1");
    let error = prove(&other, &backup, "r-room", &|_| {}).await.unwrap_err();
    assert!(error.to_string().contains("cannot be found out"), "{error}");
    assert!(databases(&pg, "r_room").await.is_empty());
    df(&line(7_000_000));
    prove(&other, &backup, "r-room", &|_| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_not_valid_is_no_loss_and_a_copy_without_a_constraint_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    pg.query(
        "CREATE INDEX half ON public.\"Order\" (customer); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.half'::regclass;",
    )
    .await
    .unwrap();
    let mut backup = take(&pg, dir.path().to_str().unwrap(), "r-half-index/b")
        .await
        .unwrap();
    prove(&pg, &backup, "r-half-index", &|_| {}).await.unwrap();
    // A forged file with a right digest that leaves a key out.
    let text = zstd::decode_all(&std::fs::read(&backup.path).unwrap()[..]).unwrap();
    let text = String::from_utf8(text).unwrap();
    let key = "ALTER TABLE ONLY public.\"Order\"\n    ADD CONSTRAINT \"Order_customer_fkey\" FOREIGN KEY (customer) REFERENCES public.\"Customer\"(id);\n";
    assert!(text.contains(key));
    let forged = zstd::encode_all(text.replace(key, "").as_bytes(), 3).unwrap();
    std::fs::write(&backup.path, &forged).unwrap();
    backup.bytes = forged.len() as u64;
    backup.sha256 = pg.sha256(&backup.path).await.unwrap();
    let error = prove(&pg, &backup, "r-half-index", &|_| {})
        .await
        .unwrap_err();
    let word = "constraint public.Order Order_customer_fkey is gone (foreign key (customer)";
    assert!(error.to_string().contains(word), "{error}");
}
