//! Statements that read and write rows.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::Reader;
use super::tree::{columns_in, ident, kid, kids, name_of, reads, sole_text};
use crate::migration::op::{Assignment, Filter, Name, Op};

impl Reader<'_> {
    pub(super) fn truncate(&mut self, node: &SyntaxNode) {
        for table in kid(node, K::TABLE_LIST)
            .iter()
            .flat_map(|list| kids(list, K::TABLE_RELATION_NAME))
        {
            if let Some(name) = name_of(&table) {
                self.push(&table, Op::Truncate(name));
            }
        }
    }

    /// A query writes through CTEs and through the functions it calls.
    pub(super) fn query(&mut self, node: &SyntaxNode) {
        self.nested_rows(node);
        self.calls(node, true);
    }

    pub(super) fn call(&mut self, node: &SyntaxNode) {
        if let Some(function) = name_of(node) {
            self.push(
                node,
                Op::Calls {
                    function,
                    query: true,
                },
            );
        }
    }

    pub(super) fn nested_rows(&mut self, node: &SyntaxNode) {
        for inner in node
            .descendants()
            .skip(1)
            .filter(|each| is_write(each.kind()))
        {
            self.write(&inner);
        }
    }

    pub(super) fn rows(&mut self, node: &SyntaxNode) {
        self.nested_rows(node);
        self.write(node);
        self.calls(node, false);
    }

    fn calls(&mut self, node: &SyntaxNode, query: bool) {
        for call in node
            .descendants()
            .filter(|each| each.kind() == K::CALL_EXPR)
        {
            let Some(callee) = call
                .children()
                .find(|each| matches!(each.kind(), K::NAME_REF | K::FIELD_EXPR))
            else {
                continue;
            };
            let mut parts = if callee.kind() == K::NAME_REF {
                vec![ident(&callee)]
            } else {
                reads(&callee)
            };
            if let Some(name) = parts.pop() {
                let function = Name::new(parts.pop(), name);
                self.push(&call, Op::Calls { function, query });
            }
        }
    }

    pub(super) fn write(&mut self, node: &SyntaxNode) {
        let target = node.children().find(|each| {
            matches!(
                each.kind(),
                K::RELATION_NAME | K::RELATION_NAME_REF | K::TABLE_RELATION_NAME
            )
        });
        let Some(table) = target.and_then(|each| name_of(&each)) else {
            return self.push(node, Op::Unknown("a write to an unnamed table".to_owned()));
        };
        match node.kind() {
            K::DELETE => self.push(node, Op::Delete(table, filter(node))),
            K::UPDATE => self.push(node, Op::Update(table, assignments(node), filter(node))),
            K::MERGE => self.push(node, Op::Upsert(table)),
            _ => {
                let conflict = kid(node, K::ON_CONFLICT_CLAUSE);
                if conflict.is_some_and(|each| kid(&each, K::CONFLICT_DO_UPDATE_SET).is_some()) {
                    self.push(node, Op::Upsert(table));
                }
            }
        }
    }
}

pub(super) fn is_write(kind: K) -> bool {
    matches!(kind, K::INSERT | K::UPDATE | K::DELETE | K::MERGE)
}

fn filter(node: &SyntaxNode) -> Filter {
    let Some(clause) = kid(node, K::WHERE_CLAUSE) else {
        let cursor = kid(node, K::WHERE_CURRENT_OF).is_some();
        return if cursor {
            Filter::Some {
                nulls: Vec::new(),
                text: String::new(),
            }
        } else {
            Filter::All
        };
    };
    let text = sole_text(&clause).to_ascii_lowercase();
    let bare: String = text
        .trim_start_matches("where")
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '(' && *c != ')')
        .collect();
    if matches!(
        bare.as_str(),
        "true" | "1=1" | "'t'" | "notfalse" | "true=true" | "0=0"
    ) {
        return Filter::All;
    }
    let mut nulls = Vec::new();
    for part in clause.children() {
        conjuncts(&part, &mut nulls);
    }
    // With other tables in play the condition alone selects nothing.
    let alone = !node.children().any(|each| {
        matches!(
            each.kind(),
            K::FROM_CLAUSE | K::USING_CLAUSE | K::WITH_CLAUSE | K::OPTIONAL_AS_ALIAS
        )
    });
    let text = clause.text().to_string();
    Filter::Some {
        nulls,
        text: if alone { text } else { String::new() },
    }
}

/// Columns that every selected row must have NULL: `a IS NULL` joined by AND.
pub(super) fn conjuncts(node: &SyntaxNode, nulls: &mut Vec<String>) {
    match node.kind() {
        K::PAREN_EXPR => node.children().for_each(|each| conjuncts(&each, nulls)),
        K::BIN_EXPR if super::has(node, K::AND_KW) => {
            node.children().for_each(|each| conjuncts(&each, nulls));
        }
        K::BIN_EXPR if super::has(node, K::IS_KW) => {
            let tests_null = kid(node, K::LITERAL)
                .is_some_and(|each| sole_text(&each).eq_ignore_ascii_case("null"));
            let column = node.children().next().and_then(|each| match each.kind() {
                K::NAME_REF => Some(ident(&each)),
                K::FIELD_EXPR => reads(&each).pop(),
                _ => None,
            });
            if tests_null {
                nulls.extend(column);
            }
        }
        _ => {}
    }
}

fn assignments(node: &SyntaxNode) -> Vec<Assignment> {
    let list = kid(node, K::SET_CLAUSE).and_then(|each| kid(&each, K::SET_COLUMN_LIST));
    // A constant WHERE old = 'x' carries the old value over as well as an expression does.
    let condition: Vec<String> = kid(node, K::WHERE_CLAUSE).iter().flat_map(reads).collect();
    let mut all = Vec::new();
    for each in list.iter().flat_map(SyntaxNode::children) {
        if each.kind() == K::SET_SINGLE_COLUMN {
            let value = kid(&each, K::SET_EXPR);
            let null = value.as_ref().is_some_and(|value| {
                let text = sole_text(value).to_ascii_lowercase();
                text == "null" || text.starts_with("null ::") || text == "default"
            });
            let column = kid(&each, K::COLUMN_TARGET)
                .and_then(|target| columns_in(&target).into_iter().next());
            let mut reads = value.as_ref().map(reads).unwrap_or_default();
            reads.extend(condition.iter().cloned());
            all.extend(column.map(|column| Assignment {
                column,
                null,
                reads,
            }));
        } else if let Some(targets) = kid(&each, K::COLUMN_TARGET_LIST) {
            let reads = reads(&each);
            all.extend(columns_in(&targets).into_iter().map(|column| Assignment {
                column,
                null: false,
                reads: reads.clone(),
            }));
        }
    }
    all
}
