//! DO blocks and function bodies.

use squawk_syntax::ast::{self, AstNode};
use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::tree::{kid, name_of, sole_text};
use super::{MAX_ERRORS, Reader, range};
use crate::migration::op::{Content, Op, Problem, Site, Trouble};

impl Reader<'_> {
    /// A DO block runs: its statements count as if they stood in the file.
    pub(super) fn do_block(&mut self, node: &SyntaxNode) {
        let body = ast::Do::cast(node.clone()).and_then(|block| block.plpgsql());
        let Some(body) = body.filter(|_| self.inside.is_none()) else {
            return self.push(
                node,
                Op::Dynamic("a DO block in another language or inside a body".to_owned()),
            );
        };
        let inside = Some("a DO block".to_owned());
        let read = read_body(&body.syntax(), inside.clone(), &|inner: &SyntaxNode| {
            let range = body.source_range(inner.text_range());
            (usize::from(range.start()), usize::from(range.end()))
        });
        let errors = body.errors();
        self.body_errors(
            errors
                .iter()
                .map(|error| (error.range().start().into(), error.message())),
            inside.as_deref(),
        );
        self.parsed.items.extend(read.items);
        self.guards(node, &body.syntax());
    }

    /// A block that raises an error fails closed: what it counts as NULL is none when it passes.
    fn guards(&mut self, node: &SyntaxNode, body: &SyntaxNode) {
        if !sole_text(body)
            .to_ascii_lowercase()
            .contains("raise exception")
        {
            return;
        }
        for select in body.descendants().filter(|each| each.kind() == K::SELECT) {
            let table = kid(&select, K::FROM_CLAUSE).and_then(|from| name_of(&from));
            let mut nulls = Vec::new();
            for part in kid(&select, K::WHERE_CLAUSE)
                .iter()
                .flat_map(SyntaxNode::children)
            {
                super::rows::conjuncts(&part, &mut nulls);
            }
            if let (Some(table), false) = (table, nulls.is_empty()) {
                self.push(node, Op::Guard(table, nulls));
            }
        }
    }

    pub(super) fn define_function(&mut self, node: &SyntaxNode) {
        let Some(name) = name_of(node) else {
            return self.push(node, Op::Unknown("CREATE FUNCTION".to_owned()));
        };
        let label = format!("function {name}");
        let function = ast::CreateFunction::cast(node.clone());
        let procedure = ast::CreateProcedure::cast(node.clone());
        let plpgsql = function
            .as_ref()
            .and_then(ast::CreateFunction::plpgsql)
            .or_else(|| procedure.as_ref().and_then(ast::CreateProcedure::plpgsql));
        let sql = function
            .as_ref()
            .and_then(ast::CreateFunction::sql_body)
            .or_else(|| procedure.as_ref().and_then(ast::CreateProcedure::sql_body));
        let atomic = node
            .children()
            .any(|each| matches!(each.kind(), K::ATOMIC_BODY | K::RETURN_STMT));
        let items = if let Some(body) = plpgsql {
            let errors = body.errors();
            let found = errors
                .iter()
                .map(|error| (error.range().start().into(), error.message()));
            self.body_errors(found, Some(&label));
            read_body(&body.syntax(), Some(label), &|inner: &SyntaxNode| {
                let range = body.source_range(inner.text_range());
                (usize::from(range.start()), usize::from(range.end()))
            })
            .items
        } else if let Some(body) = sql {
            read_statements(&body.syntax(), label, &|inner: &SyntaxNode| {
                let range = body.source_range(inner.text_range());
                (usize::from(range.start()), usize::from(range.end()))
            })
        } else if atomic {
            let bodies = node.children().filter(|each| each.kind() == K::ATOMIC_BODY);
            bodies
                .flat_map(|body| read_statements(&body, label.clone(), self.place))
                .collect()
        } else {
            return self.push(
                node,
                Op::Dynamic(format!("{label} in a language that cannot be read")),
            );
        };
        self.push(node, Op::DefineFunction(name, items));
    }

    fn body_errors<'e>(
        &mut self,
        errors: impl Iterator<Item = (usize, &'e str)>,
        inside: Option<&str>,
    ) {
        for (start, message) in errors.take(MAX_ERRORS) {
            self.parsed.problems.push(Problem {
                site: Site {
                    start,
                    end: start,
                    inside: inside.map(str::to_owned),
                },
                trouble: Trouble::Body,
                message: message.to_owned(),
            });
        }
    }
}

fn read_statements(
    root: &SyntaxNode,
    inside: String,
    place: &dyn Fn(&SyntaxNode) -> (usize, usize),
) -> Vec<crate::migration::op::Item> {
    let mut reader = Reader {
        parsed: Content::default(),
        place,
        inside: Some(inside),
    };
    for statement in root.children() {
        reader.statement(&statement);
    }
    reader.parsed.items
}

/// Every statement of a PL/pgSQL body, whichever branch it stands in: which one runs is not known.
fn read_body(
    root: &SyntaxNode,
    inside: Option<String>,
    place: &dyn Fn(&SyntaxNode) -> (usize, usize),
) -> Content {
    let mut reader = Reader {
        parsed: Content::default(),
        place,
        inside,
    };
    let mut done = 0_usize;
    for node in root.descendants() {
        // Preorder: a node that starts before the end of a translated one stands inside it.
        let (start, end) = range(&node);
        if start < done {
            continue;
        }
        match node.kind() {
            K::PLPGSQL_EXEC_SQL_STMT
            | K::PLPGSQL_PERFORM_STMT
            | K::PLPGSQL_CALL_STMT
            | K::PLPGSQL_DO_STMT => {
                node.children()
                    .for_each(|statement| reader.statement(&statement));
                done = end;
            }
            K::PLPGSQL_DYN_EXECUTE_STMT
            | K::PLPGSQL_FOR_DYN_STMT
            | K::PLPGSQL_RETURN_QUERY_EXECUTE_STMT => {
                reader.push(&node, Op::Dynamic(sole_text(&node)));
            }
            K::PLPGSQL_OPEN_STMT if super::has(&node, K::EXECUTE_KW) => {
                reader.push(&node, Op::Dynamic(sole_text(&node)));
            }
            K::PLPGSQL_COMMIT_STMT | K::PLPGSQL_ROLLBACK_STMT => {
                reader.push(&node, Op::Transaction { commits: true });
            }
            kind if super::rows::is_write(kind) => {
                reader.rows(&node);
                done = end;
            }
            _ => {}
        }
    }
    reader.parsed
}
