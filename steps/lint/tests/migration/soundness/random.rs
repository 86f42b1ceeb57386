//! Migrations nobody would write in one go: every kind of statement the rules speak of, mixed at random.

/// xorshift64*: the same seed gives the same histories on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).expect("31 bits") % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Columns of `Book`, with a value for each.
const COLUMNS: &[(&str, &str)] = &[
    ("title", "'t'"),
    ("isbn", "'0'"),
    ("pages", "1"),
    ("price", "1.0"),
    ("printed", "now()"),
    ("rating", "1"),
    ("genre", "'essay'"),
    ("shelf", "'left'"),
    ("tags", "'{}'"),
    ("lent", "true"),
    ("authorId", "1"),
    ("extra", "1"),
];

const TYPES: &[&str] = &[
    "TEXT",
    "VARCHAR(8)",
    "VARCHAR(200)",
    "BIGINT",
    "INTEGER",
    "SMALLINT",
    "NUMERIC(12,2)",
    "NUMERIC(10,1)",
    "DOUBLE PRECISION",
    "DATE",
    "TIMESTAMP(3)",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "BOOLEAN",
    "TEXT[]",
    "JSONB",
];

/// One migration of so many changes.
pub(crate) fn migration(random: &mut Random, changes: usize, later: bool) -> String {
    let mut sql = String::new();
    for _ in 0..changes {
        let mut one = change(random, later);
        if random.below(8) == 0 && !one.contains("$$") {
            one = format!("DO $$ BEGIN {one} END $$;");
        }
        sql.push_str(&one);
        sql.push('\n');
    }
    sql
}

fn change(random: &mut Random, later: bool) -> String {
    let (column, value) = COLUMNS[random.below(COLUMNS.len())];
    let (other, _) = COLUMNS[random.below(COLUMNS.len())];
    let column = format!("\"{column}\"");
    let other = format!("\"{other}\"");
    let fresh = format!("\"new{}\"", random.below(4));
    let ty = random.pick(TYPES);
    let n = random.below(1000);
    match random.below(43) {
        0 => format!("ALTER TABLE \"Book\" ADD COLUMN {fresh} {ty};"),
        1 => format!("ALTER TABLE \"Book\" ADD COLUMN {fresh} INTEGER NOT NULL DEFAULT 1;"),
        2 => format!("ALTER TABLE \"Book\" ADD COLUMN {fresh} INTEGER NOT NULL;"),
        3 => format!("ALTER TABLE \"Book\" ADD COLUMN {fresh} INTEGER; UPDATE \"Book\" SET {fresh} = 1; ALTER TABLE \"Book\" ALTER COLUMN {fresh} SET NOT NULL;"),
        4 => format!("ALTER TABLE \"Book\" DROP COLUMN {column};"),
        5 => format!("ALTER TABLE \"Book\" DROP COLUMN IF EXISTS {column} CASCADE;"),
        6 => format!("ALTER TABLE \"Book\" RENAME {column} TO {fresh};"),
        7 => format!("ALTER TABLE \"Book\" RENAME {column} TO {fresh}; ALTER TABLE \"Book\" RENAME {fresh} TO {column};"),
        8 | 9 => format!("ALTER TABLE \"Book\" ALTER COLUMN {column} SET NOT NULL;"),
        10 => format!("UPDATE \"Book\" SET {column} = {value} WHERE {column} IS NULL; ALTER TABLE \"Book\" ALTER COLUMN {column} SET NOT NULL;"),
        11 => format!("UPDATE \"Book\" SET {column} = {value} WHERE {column} IS NULL;"),
        12 => format!("UPDATE \"Book\" SET {column} = {value};"),
        13 => format!("UPDATE \"Book\" SET {column} = {value} WHERE \"id\" > 'b3';"),
        14 => format!("UPDATE \"Book\" SET {column} = NULL WHERE {other} IS NOT NULL;"),
        15 => "DELETE FROM \"Loan\" WHERE \"reader\" LIKE '%1';".to_owned(),
        // Before it there must be rows, or nothing can be lost.
        16 if later => random.pick(&["DELETE FROM \"Loan\";", "TRUNCATE \"Loan\";", "TRUNCATE \"Author\" CASCADE;", "DELETE FROM \"Loan\" WHERE true;"]).to_owned(),
        17..=19 => format!("ALTER TABLE \"Book\" ALTER COLUMN {column} TYPE {ty} USING {column}::text::{ty};"),
        20 => format!("ALTER TABLE \"Book\" ALTER COLUMN {column} TYPE {ty};"),
        21 if later => format!("ALTER TYPE \"Genre\" ADD VALUE 'new{n}';"),
        22 => "ALTER TYPE \"Genre\" RENAME VALUE 'essay' TO 'paper';".to_owned(),
        23 => exchange(random.pick(&["'left'", "'right', 'left'", "'left', 'right', 'top'", "'left', 'Right'"])),
        24 | 25 => format!("CREATE UNIQUE INDEX \"u{n}\" ON \"Book\"({column}, {other});"),
        26 => format!("ALTER TABLE \"Book\" ADD CONSTRAINT \"u{n}\" UNIQUE ({column});"),
        27 => format!("CREATE INDEX \"i{n}\" ON \"Book\"({column}); DROP INDEX \"i{n}\";"),
        28 => format!("ALTER TABLE \"Book\" ADD COLUMN {fresh} TEXT; CREATE UNIQUE INDEX \"u{n}\" ON \"Book\"({fresh}, {column});"),
        29 => "DROP INDEX \"Book_title_key\";".to_owned(),
        30 => "DROP INDEX \"Book_title_key\"; CREATE UNIQUE INDEX \"Book_title_two\" ON \"Book\"(\"title\");".to_owned(),
        31 => "ALTER TABLE \"Book\" DROP CONSTRAINT \"Book_authorId_fkey\";".to_owned(),
        32 => format!("ALTER TABLE \"Book\" ADD CONSTRAINT \"c{n}\" CHECK ({column} IS NOT NULL);"),
        33 => format!("ALTER TABLE \"Book\" ADD CONSTRAINT \"c{n}\" CHECK (\"rating\" < {}) ;", random.below(9)),
        34 => format!("CREATE TABLE \"Work\" (\"id\" INTEGER PRIMARY KEY, \"x\" TEXT); INSERT INTO \"Work\" VALUES (1, 'x'); {}", random.pick(&["DROP TABLE \"Work\";", "DELETE FROM \"Work\";", "ALTER TABLE \"Work\" DROP COLUMN \"x\";", ""])),
        35 => random.pick(&["ALTER TABLE \"Loan\" RENAME TO \"Lending\";", "DROP TABLE \"Loan\";", "DROP TABLE IF EXISTS \"Loan\" CASCADE;", "ALTER TABLE \"Loan\" RENAME TO \"x\"; ALTER TABLE \"x\" RENAME TO \"Loan\";"]).to_owned(),
        36 => random.pick(&["DROP VIEW \"LentBook\";", "DROP VIEW IF EXISTS \"LentBook\"; CREATE VIEW \"LentBook\" AS SELECT \"id\" FROM \"Book\" WHERE \"lent\";"]).to_owned(),
        37 => format!("ALTER TABLE \"Book\" ALTER COLUMN {column} DROP NOT NULL;"),
        38 => format!("ALTER TABLE \"Book\" ALTER COLUMN {column} DROP DEFAULT;"),
        39 => format!("ALTER TABLE \"Book\" ALTER COLUMN {column} SET DEFAULT {value};"),
        40 => format!("INSERT INTO \"Author\" (\"name\") VALUES ('n{n}');"),
        41 => format!("ALTER TABLE \"Book\" ADD COLUMN {fresh} {ty}; UPDATE \"Book\" SET {fresh} = {column}::text::{ty}; ALTER TABLE \"Book\" DROP COLUMN {column}; ALTER TABLE \"Book\" RENAME {fresh} TO {column};"),
        _ => format!("CREATE TEMP TABLE t{n} AS SELECT * FROM \"Book\"; DROP TABLE t{n};"),
    }
}

fn exchange(labels: &str) -> String {
    format!(
        "CREATE TYPE \"Shelf_new\" AS ENUM ({labels}); \
         ALTER TABLE \"Book\" ALTER COLUMN \"shelf\" TYPE \"Shelf_new\" USING (\"shelf\"::text::\"Shelf_new\"); \
         ALTER TYPE \"Shelf\" RENAME TO \"Shelf_old\"; ALTER TYPE \"Shelf_new\" RENAME TO \"Shelf\"; DROP TYPE \"Shelf_old\";"
    )
}
