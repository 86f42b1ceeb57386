//! The rules: their ids, and for each what it is about, why it matters, and an example on either side of the line.

mod page;
mod table;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::page::rules_page;

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $id:literal,)*) => {
        /// A rule's stable id. It is written into journals and waivers: an id is never renamed or given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum RuleId {
            $($(#[$doc])* #[serde(rename = $id)] $variant,)*
        }

        impl RuleId {
            /// Every rule, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The id as text, such as `drop-column`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }
        }
    };
}

rules! {
    /// A column that existed is gone.
    DropColumn = "drop-column",
    /// A table that existed is gone.
    DropTable = "drop-table",
    /// A schema, a database or everything a role owns is dropped.
    DropContainer = "drop-container",
    /// A column has another name.
    RenameColumn = "rename-column",
    /// A table has another name or schema.
    RenameTable = "rename-table",
    /// An enum or other type has another name.
    RenameType = "rename-type",
    /// An existing column no longer takes NULL.
    SetNotNull = "set-not-null",
    /// A new column that every INSERT must name.
    RequiredColumn = "required-column",
    /// An enum lost a label.
    EnumValueRemoved = "enum-value-removed",
    /// A unique key over rows that exist.
    UniqueOnExisting = "unique-on-existing",
    /// A unique key that upserts and readers may rely on is gone.
    DropUnique = "drop-unique",
    /// TRUNCATE empties a table.
    Truncate = "truncate",
    /// DELETE of every row.
    DeleteAll = "delete-all",
    /// DELETE of some rows.
    DeleteRows = "delete-rows",
    /// UPDATE of every row of an existing column.
    UpdateAll = "update-all",
    /// UPDATE of existing values in some rows.
    UpdateRows = "update-rows",
    /// A type that cannot hold every old value.
    NarrowType = "narrow-type",
    /// Another type that holds the old values, or is not known to.
    ChangeType = "change-type",
    /// A required column whose default is gone.
    DropDefault = "drop-default",
    /// A check, foreign key or exclusion over rows that exist.
    AddConstraint = "add-constraint",
    /// A foreign key or check is gone.
    DropConstraint = "drop-constraint",
    /// A column may hold NULL that never did.
    DropNotNull = "drop-not-null",
    /// CASCADE: what goes along is not named.
    Cascade = "cascade",
    /// Every row of a table is written anew under an exclusive lock.
    TableRewrite = "table-rewrite",
    /// An index is built in a way that blocks writes.
    IndexBlocksWrites = "index-blocks-writes",
    /// Long work after a table was locked.
    WorkUnderLock = "work-under-lock",
    /// A lock is waited for without a limit.
    LockTimeout = "lock-timeout",
    /// A view, function, trigger, sequence or other object is dropped.
    DropObject = "drop-object",
    /// A view reads what is dropped or given another type.
    ViewInTheWay = "view-in-the-way",
    /// A view is made again without a column it had.
    ViewColumn = "view-column",
    /// Triggers, rules, row security or rights change what statements do.
    BehaviourChange = "behaviour-change",
    /// SQL made at run time, or code in a language that cannot be read.
    DynamicSql = "dynamic-sql",
    /// A statement runs a function whose effect is not known to be harmless.
    RunsFunction = "runs-function",
    /// BEGIN, COMMIT, ROLLBACK or SAVEPOINT in the file.
    ExplicitTransaction = "explicit-transaction",
    /// CONCURRENTLY together with other statements.
    ConcurrentlyInTransaction = "concurrently-in-transaction",
    /// An enum label is added and used in one transaction.
    NewLabelUsed = "new-label-used",
    /// A migration was changed or removed after it was applied.
    EditedMigration = "edited-migration",
    /// What a migration makes is there already.
    MadeTwice = "made-twice",
    /// `schema.prisma`, the migrations and a database do not say the same.
    SchemaDrift = "schema-drift",
    /// `PostgreSQL` would refuse the file.
    SyntaxError = "syntax-error",
    /// A file, or a body in it, that could not be read.
    CannotCheck = "cannot-check",
    /// A statement the checker does not know to be harmless.
    UnknownStatement = "unknown-statement",
    /// A comment or configuration entry that is to suppress a finding and does not.
    Suppression = "suppression",
    /// What a replay did is not what the text check says.
    ReplayDiffers = "replay-differs",
    /// A migration does not apply to the history before it.
    ReplayFailed = "replay-failed",
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for RuleId {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|rule| rule.as_str() == text);
        found.copied().ok_or_else(|| UnknownRule(text.to_owned()))
    }
}

/// There is no rule of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no migration rule named {0:?}; `flow lint --explain` without a name lists them")]
pub struct UnknownRule(String);

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What the rule looks for, in one line.
    pub title: &'static str,
    /// What breaks, and for whom.
    pub why: &'static str,
    /// What to do instead.
    pub fix: &'static str,
    /// SQL that triggers the rule when it follows [`EXAMPLE_CONTEXT`]; for `edited-migration` and a replay's, which no text can show,
    /// a sentence in a comment.
    pub bad: &'static str,
    /// SQL to the same end that does not.
    pub good: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
}

/// The schema the examples start from: an earlier, applied migration.
pub const EXAMPLE_CONTEXT: &str = r#"
CREATE TYPE "Status" AS ENUM ('open', 'closed');
CREATE TABLE "Task" (
    "id" SERIAL NOT NULL,
    "title" TEXT NOT NULL,
    "notes" TEXT,
    "size" BIGINT,
    "status" "Status" NOT NULL DEFAULT 'open',
    "parent" INTEGER,
    CONSTRAINT "Task_parent_fkey" FOREIGN KEY ("parent") REFERENCES "Task"("id"),
    CONSTRAINT "Task_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "Task_title_key" ON "Task"("title");
CREATE VIEW "OpenTask" AS SELECT "id" FROM "Task" WHERE "status" = 'open';
"#;

/// The explanation of a rule.
pub fn explain(rule: RuleId) -> &'static Explanation {
    table::of(rule)
}
