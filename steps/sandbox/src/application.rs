//! The demo application's files and its commits.

/// One file of the repository.
pub(crate) struct File {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! files {
    ($($path:literal = $source:literal),* $(,)?) => {
        &[$(File { path: $path, text: include_str!(concat!("../app/", $source)) }),*]
    };
}

/// The state that is deployed when a sandbox starts.
pub(crate) const FILES: &[File] = files![
    ".gitignore" = "gitignore",
    ".npmrc" = "npmrc",
    "deploy/scripts/apply.sh" = "deploy/scripts/apply.sh",
    "deploy/scripts/ledger.sh" = "deploy/scripts/ledger.sh",
    "deploy/scripts/release.sh" = "deploy/scripts/release.sh",
    "ecosystem.config.js" = "ecosystem.config.js",
    "package-lock.json" = "package-lock.json",
    "package.json" = "package.json",
    "prisma.config.ts" = "prisma.config.ts",
    "prisma/migrations/20260105090000_init/migration.sql" =
        "prisma/migrations/20260105090000_init/migration.sql",
    "prisma/migrations/20260302100000_customer_phone/migration.sql" =
        "prisma/migrations/20260302100000_customer_phone/migration.sql",
    "prisma/migrations/migration_lock.toml" = "prisma/migrations/migration_lock.toml",
    "prisma/schema.prisma" = "prisma/schema.prisma",
    "public/app.js" = "public/app.js",
    "public/index.html" = "public/index.html",
    "src/frontend.js" = "src/frontend.js",
    "src/health.js" = "src/health.js",
    "src/resolvers.js" = "src/resolvers.js",
    "src/schema.graphql" = "src/schema.graphql",
    "src/server.js" = "src/server.js",
    "src/worker.js" = "src/worker.js",
];

/// Something a commit does to its parent's files.
pub(crate) enum Change {
    /// A new file.
    Add(&'static str, &'static str),
    /// One piece of text, found exactly once, becomes another.
    Edit(&'static str, &'static str, &'static str),
}

/// A commit of the demo repository; each is also a branch of the same name.
pub(crate) struct Commit {
    pub(crate) name: &'static str,
    pub(crate) parent: Option<&'static str>,
    pub(crate) message: &'static str,
    pub(crate) changes: &'static [Change],
}

/// In order, parents first. `current` is also `main`.
pub(crate) const COMMITS: &[Commit] = &[
    Commit {
        name: "current",
        parent: None,
        message: "Customers, products, adoption plans and tasks\n\nVersion 1.4.0.",
        changes: &[],
    },
    Commit {
        name: "good",
        parent: Some("current"),
        message: "Tasks: notes on the status\n\nA new column that may be empty, so that old rows and old code stay valid. Version 1.5.0.",
        changes: &[
            Change::Edit("package.json", "\"1.4.0\"", "\"1.5.0\""),
            Change::Add(
                "prisma/migrations/20260601080000_task_status_notes/migration.sql",
                "-- AlterTable\nALTER TABLE \"CustomerTask\" ADD COLUMN \"statusNotes\" TEXT;\n",
            ),
            Change::Edit(
                "prisma/schema.prisma",
                "  status         TaskStatus   @default(NOT_STARTED)\n",
                "  status         TaskStatus   @default(NOT_STARTED)\n  statusNotes    String?\n",
            ),
            Change::Edit(
                "src/schema.graphql",
                "  status: TaskStatus!\n",
                "  status: TaskStatus!\n  statusNotes: String\n",
            ),
        ],
    },
    Commit {
        name: "lost-rows",
        parent: Some("good"),
        message: "Deploy: clean up customers that were moved\n\nRows of the retired domain are no longer needed. Version 1.5.1.",
        changes: &[
            Change::Edit("package.json", "\"1.5.0\"", "\"1.5.1\""),
            Change::Add(
                "deploy/scripts/clean-up.js",
                include_str!("../app/clean-up.js"),
            ),
            Change::Edit(
                "deploy/scripts/apply.sh",
                "npx prisma migrate deploy\n",
                "npx prisma migrate deploy\necho \"deploy: cleaning up\"\nPGOPTIONS=\"${FLOW_MIGRATE_PGOPTIONS:-}\" node deploy/scripts/clean-up.js\n",
            ),
        ],
    },
    Commit {
        name: "bad-migration",
        parent: Some("good"),
        message: "Customers: drop the phone number\n\nNothing shows it any more. Version 1.6.0.",
        changes: &[
            Change::Edit("package.json", "\"1.5.0\"", "\"1.6.0\""),
            Change::Add(
                "prisma/migrations/20260615080000_drop_phone/migration.sql",
                "-- AlterTable\nALTER TABLE \"Customer\" DROP COLUMN \"phone\";\n",
            ),
            Change::Edit("prisma/schema.prisma", "  phone       String?\n", ""),
            Change::Edit("src/schema.graphql", "  phone: String\n", ""),
        ],
    },
    Commit {
        name: "health",
        parent: Some("good"),
        message: "Health: ask for the licence service\n\nIts address is a setting of each host. Version 1.5.2.",
        changes: &[
            Change::Edit("package.json", "\"1.5.0\"", "\"1.5.2\""),
            Change::Edit(
                "src/health.js",
                "const checks = [async (pool) => pool.query('select 1')]\n",
                include_str!("../app/health-checks.js"),
            ),
        ],
    },
    Commit {
        name: "drift",
        parent: Some("good"),
        message: "Customers: regions and tags\n\nThe schema has them; the migration was forgotten. Version 1.5.3.",
        changes: &[
            Change::Edit("package.json", "\"1.5.0\"", "\"1.5.3\""),
            Change::Edit(
                "prisma/schema.prisma",
                "  phone       String?\n",
                "  phone       String?\n  region      String?\n",
            ),
            Change::Edit(
                "prisma/schema.prisma",
                "model CustomerProduct {",
                "model Tag {\n  id    String @id\n  label String @unique\n}\n\nmodel CustomerProduct {",
            ),
        ],
    },
];
