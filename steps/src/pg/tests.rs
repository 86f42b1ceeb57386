//! Against a real server of this test's own.

pub(crate) mod cluster;
mod comparing;
mod copying;
mod cutting;
mod declaring;
mod engine;
mod freezing;
mod history;
mod holding;
mod kinds;
mod numbering;
mod owning;
mod proving;
mod restoring;
mod shaping;

use super::backup::{self, Order};
use super::manifest::{Backup, Compression};
use crate::means::psql::{Pg, PgError};

/// Shop data: a table with a key, one with a foreign key, one without any key, an enum, a view, a sequence.
pub(super) const SHOP: &str = r#"
CREATE TYPE public."Role" AS ENUM ('ADMIN', 'MEMBER');
CREATE TABLE public."Customer" (id serial PRIMARY KEY, name text NOT NULL, role public."Role" NOT NULL DEFAULT 'MEMBER',
  status varchar(10) CHECK (status IN ('new', 'old')), meta json, "deletedAt" timestamptz);
CREATE TABLE public."Order" (id bigint PRIMARY KEY, customer int NOT NULL REFERENCES public."Customer" (id), amount numeric(12,2));
CREATE TABLE public."AuditLog" (line text, at timestamptz, data jsonb);
CREATE VIEW public.v AS SELECT id, name FROM public."Customer" WHERE role = 'MEMBER';
INSERT INTO public."Customer" (name, role, status, meta)
  SELECT E'n\\\t' || g, (CASE WHEN g % 7 = 0 THEN 'ADMIN' ELSE 'MEMBER' END)::public."Role", 'new', '{"a":1}' FROM generate_series(1, 1000) g;
INSERT INTO public."Order" SELECT g, 1 + g % 1000, g FROM generate_series(1, 5000) g;
INSERT INTO public."AuditLog" SELECT 'line ' || g % 500, now(), '{"b":[1,2]}' FROM generate_series(1, 3000) g;
"#;

pub(super) async fn take(pg: &Pg, dir: &str, key: &str) -> Result<Backup, PgError> {
    take_as(pg, dir, key, Compression::Zstd).await
}

pub(super) async fn take_as(
    pg: &Pg,
    dir: &str,
    key: &str,
    compression: Compression,
) -> Result<Backup, PgError> {
    let order = Order {
        dir,
        prefix: "prod",
        compression,
        min_free_bytes: 0,
        critical: &[],
        made_by: key,
        progress: &|_| {},
    };
    backup::take(pg, &order).await
}

/// Files of a folder, sorted.
pub(super) fn files(dir: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
