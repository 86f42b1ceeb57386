//! The only place that knows the SQL parser (`squawk-syntax`, whose tree changes almost weekly): text in, [`Content`] out.

mod body;
mod column;
mod labels;
mod parse;
mod rows;
mod table;
mod tree;
mod view;

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

pub(super) use self::parse::parse_all;

use self::tree::{has, kid, kids, name_of, sole_text};
use super::op::{Content, Item, Name, Op, Problem, Site, Trouble};

/// Syntax errors reported per file; the first is the one that matters.
const MAX_ERRORS: usize = 10;

fn range(node: &SyntaxNode) -> (usize, usize) {
    let range = node.text_range();
    (usize::from(range.start()), usize::from(range.end()))
}

/// Translates statements; `place` maps a node to the bytes of the file (bodies are texts of their own).
struct Reader<'a> {
    parsed: Content,
    place: &'a dyn Fn(&SyntaxNode) -> (usize, usize),
    inside: Option<String>,
}

/// Statements that change neither existing rows nor anything existing code relies on. Everything that is neither here nor
/// translated is reported as `unknown-statement`.
const HARMLESS: &[K] = &[
    K::ANALYZE,
    K::CHECKPOINT,
    K::COMMENT_ON,
    K::CREATE_COLLATION,
    K::CREATE_DOMAIN,
    K::CREATE_EXTENSION,
    K::CREATE_SEQUENCE,
    K::CREATE_STATISTICS,
    K::EMPTY_STMT,
    K::GRANT,
    K::REFRESH,
    K::SET_CONSTRAINTS,
    K::SHOW,
];

impl Reader<'_> {
    fn problem(&mut self, node: &SyntaxNode, trouble: Trouble, message: &str) {
        let (start, end) = (self.place)(node);
        self.parsed.problems.push(Problem {
            site: Site {
                start,
                end,
                inside: self.inside.clone(),
            },
            trouble,
            message: message.to_owned(),
        });
    }

    fn push(&mut self, node: &SyntaxNode, op: Op) {
        let (start, end) = (self.place)(node);
        let site = Site {
            start,
            end,
            inside: self.inside.clone(),
        };
        self.parsed.items.push(Item { site, op });
    }

    fn statement(&mut self, node: &SyntaxNode) {
        match node.kind() {
            // The parser's own error list already names it.
            K::ERROR => {}
            K::CREATE_TABLE | K::CREATE_TABLE_AS | K::SELECT_INTO => self.create_table(node),
            K::ALTER_TABLE => self.alter_table(node),
            K::DROP_TABLE => self.drop_table(node),
            K::CREATE_INDEX => self.create_index(node),
            K::DROP_INDEX => self.drop_index(node),
            K::ALTER_INDEX => self.alter_index(node),
            K::CREATE_TYPE => self.create_type(node),
            K::ALTER_TYPE => self.alter_type(node),
            K::DROP_TYPE => self.drop_type(node),
            K::TRUNCATE => self.truncate(node),
            K::SELECT | K::COMPOUND_SELECT | K::PAREN_SELECT | K::VALUES | K::TABLE => {
                self.query(node);
            }
            K::INSERT | K::UPDATE | K::DELETE | K::MERGE => self.rows(node),
            K::CALL => self.call(node),
            K::DO => self.do_block(node),
            K::CREATE_FUNCTION | K::CREATE_PROCEDURE => self.define_function(node),
            K::DROP_SCHEMA | K::DROP_DATABASE | K::DROP_OWNED => self.container(node),
            K::CREATE_SCHEMA => self.create_schema(node),
            K::ALTER_SCHEMA => self.alter_schema(node),
            K::CREATE_VIEW | K::CREATE_MATERIALIZED_VIEW => self.create_view(node),
            K::SET => self.set(node),
            K::ALTER_SEQUENCE => self.alter_sequence(node),
            K::CREATE_TRIGGER | K::CREATE_RULE | K::CREATE_POLICY | K::CREATE_EVENT_TRIGGER => {
                self.trigger(node);
            }
            K::ALTER_POLICY | K::ALTER_TRIGGER | K::REVOKE | K::ALTER_DEFAULT_PRIVILEGES => {
                self.push(node, Op::Behaviour(words(node, 2)));
            }
            kind if HARMLESS.contains(&kind) => {}
            _ => self.by_words(node),
        }
    }

    /// Kinds that differ only in their first words.
    fn by_words(&mut self, node: &SyntaxNode) {
        let first = words(node, 1);
        match first.as_str() {
            "BEGIN" | "START" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => {
                self.push(node, Op::Transaction { commits: false });
            }
            "COMMIT" | "END" => self.push(node, Op::Transaction { commits: true }),
            "DROP" => self.drop_object(node),
            "EXECUTE" | "PREPARE" => self.push(node, Op::Dynamic(first)),
            "VACUUM" | "CLUSTER" | "REINDEX" => {
                self.push(node, Op::Concurrently);
                self.push(node, Op::Unknown(first));
            }
            _ => self.push(node, Op::Unknown(words(node, 2))),
        }
    }

    fn container(&mut self, node: &SyntaxNode) {
        let what = words(node, 2);
        let targets: Vec<String> = node
            .descendants()
            .filter(|each| {
                matches!(
                    each.kind(),
                    K::SCHEMA_REF | K::DATABASE_REF | K::ROLE_NAME_REF
                )
            })
            .map(|each| tree::ident(&each))
            .collect();
        self.push(
            node,
            Op::DropContainer(format!("{what} {}", targets.join(", "))),
        );
        if node.kind() == K::DROP_SCHEMA {
            for name in targets {
                self.push(node, Op::ClearSchema(name));
            }
        }
    }

    /// What else reads it by its old name is not known, so it stays a statement without a rule.
    fn alter_schema(&mut self, node: &SyntaxNode) {
        let from = kid(node, K::SCHEMA_REF);
        let to = kid(node, K::SCHEMA_RENAME_TO).and_then(|each| kid(&each, K::SCHEMA));
        if let (Some(from), Some(to)) = (from, to) {
            self.push(node, Op::RenameSchema(tree::ident(&from), tree::ident(&to)));
        }
        self.push(node, Op::Unknown(words(node, 2)));
    }

    fn create_schema(&mut self, node: &SyntaxNode) {
        let target = kid(node, K::NAMED_SCHEMA).and_then(|each| kid(&each, K::SCHEMA));
        if let Some(name) = target {
            self.push(node, Op::CreateSchema(tree::ident(&name)));
        }
        for element in node.children().filter(|each| {
            each.kind() == K::CREATE_TABLE
                || each.kind() == K::CREATE_INDEX
                || each.kind() == K::CREATE_TRIGGER
        }) {
            self.push(
                &element,
                Op::Unknown("CREATE SCHEMA with elements".to_owned()),
            );
        }
    }

    /// A trigger on a table that exists changes what its writes do; whether it exists is for the fold to say.
    fn trigger(&mut self, node: &SyntaxNode) {
        let what = words(node, 2);
        let table = kid(node, K::ON_RELATION)
            .or_else(|| kid(node, K::ON_TABLE))
            .and_then(|on| name_of(&on));
        let what = table.map_or_else(|| what.clone(), |table| format!("{what} ON {table}"));
        self.push(node, Op::Behaviour(what));
    }

    fn set(&mut self, node: &SyntaxNode) {
        let text = sole_text(node).to_ascii_lowercase();
        if text.split(' ').any(|word| word == "lock_timeout") {
            self.push(node, Op::LockTimeout);
        }
        let risky = ["search_path", "session_replication_role", "role", "schema"];
        if text.split(' ').any(|word| risky.contains(&word)) {
            self.push(
                node,
                Op::Unknown(format!("SET {}", words(node, 4).trim_start_matches("SET "))),
            );
        }
    }

    fn alter_sequence(&mut self, node: &SyntaxNode) {
        let owned = node.children().any(|each| {
            matches!(each.kind(), K::SEQUENCE_RENAME_TO | K::SET_SCHEMA)
                || has(&each, K::RESTART_KW)
        });
        if owned {
            self.push(node, Op::Unknown("ALTER SEQUENCE".to_owned()));
        }
    }

    fn drop_object(&mut self, node: &SyntaxNode) {
        let kind = match node.kind() {
            K::DROP_MATERIALIZED_VIEW => "VIEW".to_owned(),
            _ => words(node, 2).trim_start_matches("DROP ").to_owned(),
        };
        if tree::cascades(node) {
            self.push(node, Op::Cascade(format!("DROP {kind}")));
        }
        let mut names = Vec::new();
        for child in node
            .children()
            .filter(|each| each.kind() != K::ON_RELATION && each.kind() != K::IF_EXISTS)
        {
            if child.kind() == K::FUNCTION_SIG_LIST {
                names.extend(kids(&child, K::FUNCTION_SIG).filter_map(|each| name_of(&each)));
            } else if let Some(name) = name_of(&child) {
                names.push(name);
            } else if tree::is_name(&child) {
                names.push(Name::new(None, tree::ident(&child)));
            }
        }
        if names.is_empty() {
            self.push(node, Op::Unknown(format!("DROP {kind}")));
        }
        for name in names {
            self.push(node, Op::DropObject(kind.clone(), name));
        }
    }
}

/// The first words of a statement, upper case.
fn words(node: &SyntaxNode, count: usize) -> String {
    let text = sole_text(node);
    let words: Vec<String> = text
        .split(' ')
        .take(count)
        .map(str::to_ascii_uppercase)
        .collect();
    words.join(" ")
}
