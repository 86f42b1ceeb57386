//! The hosts, by name, and what runs on each.

/// The names of the hosts, in the order a release visits them. They are also their aliases in the ssh configuration.
pub const HOSTS: [&str; 3] = ["test", "stage", "prod"];

/// The names of the hosts of [`Layout::FiveHosts`], likewise.
pub const FIVE_HOSTS: [&str; 5] = ["backend-1", "backend-2", "worker", "frontend", "database"];

/// Which hosts there are, and what runs on them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Three environments, each one host with all of the application and its database.
    #[default]
    Environments,
    /// One environment on five hosts: two back ends and a worker under pm2, the page under systemd of a user, the database
    /// in a container of a host of its own. Needs [`Isolation::Containers`](crate::Isolation::Containers) and systemd's
    /// programs.
    FiveHosts,
}

/// What runs on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All of the application, under pm2, and its database.
    Whole,
    /// The back end, under pm2.
    Backend,
    /// The worker, under pm2.
    Worker,
    /// The page, under systemd.
    Frontend,
    /// The database, in a container.
    Database,
}

impl Layout {
    /// The names of the hosts.
    pub fn hosts(self) -> &'static [&'static str] {
        match self {
            Layout::Environments => &HOSTS,
            Layout::FiveHosts => &FIVE_HOSTS,
        }
    }

    /// What runs on a host of this name.
    pub(crate) fn role(self, host: &str) -> Role {
        match (self, host) {
            (Layout::Environments, _) => Role::Whole,
            (Layout::FiveHosts, "worker") => Role::Worker,
            (Layout::FiveHosts, "frontend") => Role::Frontend,
            (Layout::FiveHosts, "database") => Role::Database,
            (Layout::FiveHosts, _) => Role::Backend,
        }
    }

    /// How many hosts, for people.
    pub(crate) fn number(self) -> &'static str {
        match self {
            Layout::Environments => "three",
            Layout::FiveHosts => "five",
        }
    }
}

impl Role {
    /// The application's processes there, as their supervisor calls them.
    pub fn processes(self) -> &'static [&'static str] {
        match self {
            Role::Whole => &["dap-backend", "dap-frontend"],
            Role::Backend => &["dap-backend"],
            Role::Worker => &["dap-worker"],
            Role::Frontend => &["dap-frontend"],
            Role::Database => &[],
        }
    }

    /// Whether the application's code lies there.
    pub(crate) fn has_code(self) -> bool {
        self != Role::Database
    }

    /// Whether a docker daemon and the database run there.
    pub(crate) fn has_database(self) -> bool {
        matches!(self, Role::Whole | Role::Database)
    }

    /// As the host's scripts know it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Whole => "whole",
            Role::Backend => "backend",
            Role::Worker => "worker",
            Role::Frontend => "frontend",
            Role::Database => "database",
        }
    }
}
