//! Where sequences stand, and whether the numbers they give next are free.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::shape::Shape;
use super::state::DbState;
use crate::means::psql::PgError;
use crate::means::psql::client::Session;
use crate::means::psql::text::{ident, qualified};
use crate::pg::behind::Behind;

/// Columns that a sequence fills: those that own one (`serial`, identity), and those whose default is just the next
/// number of one. Only whole numbers, only what may be read. Sequences that begin anew by themselves meet old numbers by
/// design. The default of a partition is that of its parent, which has all the rows.
const FILLED: &str = "SELECT json_build_object('table', json_build_array(n.nspname, c.relname), 'column', a.attname, \
    'sequence', json_build_array(sn.nspname, s.relname), 'by', q.seqincrement)::text FROM (\
      SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number FROM pg_depend d \
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 \
      UNION SELECT d.refobjid, ad.adrelid, ad.adnum FROM pg_depend d JOIN pg_attrdef ad ON ad.oid = d.objid \
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass \
        AND pg_get_expr(ad.adbin, ad.adrelid) ~ '^[(]?nextval[(][^()]*[)][)]?(::[a-z]+)?$' \
        AND NOT (SELECT relispartition FROM pg_class WHERE oid = ad.adrelid)) AS filled \
    JOIN pg_sequence q ON q.seqrelid = filled.sequence JOIN pg_class s ON s.oid = q.seqrelid JOIN pg_namespace sn ON sn.oid = s.relnamespace \
    JOIN pg_class c ON c.oid = filled.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = filled.number JOIN pg_type t ON t.oid = a.atttypid \
    WHERE NOT q.seqcycle AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e') \
    AND CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype) \
    AND has_sequence_privilege(s.oid, 'SELECT') AND has_table_privilege(c.oid, 'SELECT') \
    ORDER BY n.nspname, c.relname, a.attname, s.relname;";

#[derive(Deserialize)]
struct Filled {
    table: (String, String),
    column: String,
    sequence: (String, String),
    by: i64,
}

/// How a sequence counts, as its parameters in a shape say.
struct Course {
    start: i128,
    by: i128,
    from: i128,
    to: i128,
    cycles: bool,
}

/// What a deploy did to sequences, apart from their parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sequences {
    /// Those that went back: where they stood, and where they stand.
    pub(super) rewound: BTreeMap<String, (i64, i64)>,
    /// Columns that are behind now and were not before.
    pub(super) behind: Vec<Behind>,
}

impl Course {
    /// Nothing for a sequence that is not in the shape: one that is gone is a change of the shape.
    fn of(shape: &Shape, name: &str) -> Option<Self> {
        let thing = shape.get(&format!("sequence {name} parameters"))?;
        let words: Vec<&str> = thing.is.split(' ').collect();
        let after = |word: &str| {
            let at = words.iter().position(|w| *w == word)?;
            words.get(at + 1)?.parse().ok()
        };
        Some(Self {
            start: after("start")?,
            by: after("by")?,
            from: after("from")?,
            to: after("to")?,
            cycles: words.get(9) == Some(&"cycle"),
        })
    }

    /// Where it stands before it is used.
    fn beginning(&self) -> i128 {
        self.start - self.by
    }

    /// Whether it went against its direction. One that cycles went on where that is the shorter way.
    fn went_back(&self, was: i128, is: i128) -> bool {
        let back = (was - is) * self.by.signum();
        if back <= 0 {
            return false;
        }
        !self.cycles || self.to - self.from - back > back
    }
}

impl Sequences {
    /// Of a database before a deploy and after it.
    pub(super) fn between(before: &DbState, now: &DbState) -> Self {
        Self {
            rewound: rewound(&before.sequences, &now.sequences, &now.shape),
            behind: fallen_behind(before.behind.as_deref(), now.behind.as_deref()),
        }
    }

    /// What is neither declared nor said already. A sequence that migrations make anew begins anew, but what its column
    /// holds it must leave free.
    pub(super) fn in_words(&self, fresh: &BTreeSet<String>, declared: &[String]) -> Vec<String> {
        let thing = |name: &str| format!("sequence {name}");
        let meant = |name: &str| declared.contains(&thing(name));
        let back = |name: &str| self.rewound.contains_key(name) && !fresh.contains(&thing(name));
        let rewound = self.rewound.iter().filter(|(name, _)| back(name));
        let rewound = rewound.filter(|(name, _)| !meant(name));
        let rewound = rewound.map(|(name, (was, is))| {
            format!(
                "sequence {name} went back from {was} to {is}: it would give numbers that are taken"
            )
        });
        let behind = self.behind.iter();
        let behind = behind.filter(|b| !meant(&b.sequence) && !back(&b.sequence));
        rewound.chain(behind.map(Behind::in_words)).collect()
    }
}

/// Where every sequence stands that was used and may be read, by `schema.name`.
pub(super) async fn last_values(session: &mut Session) -> Result<BTreeMap<String, i64>, PgError> {
    let sql = "SELECT json_build_array(schemaname || '.' || sequencename, last_value)::text FROM pg_sequences \
               WHERE last_value IS NOT NULL;";
    Ok(session
        .rows::<(String, i64)>(sql)
        .await?
        .into_iter()
        .collect())
}

/// Columns whose sequence does not lie beyond what they hold.
pub(super) async fn behind(session: &mut Session) -> Result<Vec<Behind>, PgError> {
    let filled: Vec<Filled> = session.rows(FILLED).await?;
    let mut found = Vec::new();
    for one in filled {
        let (farthest, meets) = if one.by > 0 {
            ("max", "<=")
        } else {
            ("min", ">=")
        };
        let sql = format!(
            "SELECT json_build_array(p.next::text, m.farthest::text)::text \
             FROM (SELECT last_value::numeric + CASE WHEN is_called THEN {} ELSE 0 END AS next FROM {}) AS p, \
             (SELECT {farthest}({})::numeric AS farthest FROM {}) AS m WHERE p.next {meets} m.farthest;",
            one.by,
            qualified(&one.sequence.0, &one.sequence.1),
            ident(&one.column),
            qualified(&one.table.0, &one.table.1)
        );
        let taken: Vec<(String, String)> = session.rows(&sql).await?;
        found.extend(taken.into_iter().map(|(next, holds)| Behind {
            sequence: format!("{}.{}", one.sequence.0, one.sequence.1),
            column: format!("{}.{}.{}", one.table.0, one.table.1, one.column),
            next,
            holds,
        }));
    }
    Ok(found)
}

/// Sequences that stand before where they stood, or at their beginning again: where they stood, and where they stand.
pub(super) fn rewound(
    was: &BTreeMap<String, i64>,
    now: &BTreeMap<String, i64>,
    shape: &Shape,
) -> BTreeMap<String, (i64, i64)> {
    let back = |(name, was): (&String, &i64)| {
        let course = Course::of(shape, name)?;
        let beginning = || i64::try_from(course.beginning()).unwrap_or_default();
        let is = now.get(name).copied().unwrap_or_else(beginning);
        let back = course.went_back((*was).into(), is.into());
        back.then(|| (name.clone(), (*was, is)))
    };
    was.iter().filter_map(back).collect()
}

/// What is behind now and was not before, by the name of the column or of the sequence: a table or a sequence may have got
/// another name. Nothing where it is not known before.
fn fallen_behind(was: Option<&[Behind]>, now: Option<&[Behind]>) -> Vec<Behind> {
    let Some(was) = was else {
        return Vec::new();
    };
    let known = |one: &Behind| {
        let mut same = was
            .iter()
            .filter(|w| w.column == one.column || w.sequence == one.sequence);
        same.next().is_some()
    };
    let now = now.unwrap_or_default().iter();
    now.filter(|one| !known(one)).cloned().collect()
}
