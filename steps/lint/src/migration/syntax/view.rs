//! What a view reads, and what it gives.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::tree::{column_of, columns_in, has, ident, kid, kids, name_of, reads, sole_text};
use super::{Op, Reader};
use crate::migration::op::NewView;

impl Reader<'_> {
    pub(super) fn create_view(&mut self, node: &SyntaxNode) {
        let Some(name) = name_of(node) else {
            return;
        };
        let relations = node
            .descendants()
            .filter(|each| each.kind() == K::RELATION_FROM_ITEM);
        let targets = node.descendants().filter(|each| each.kind() == K::TARGET);
        let view = NewView {
            name,
            replace: kid(node, K::OR_REPLACE).is_some(),
            if_not_exists: kid(node, K::IF_NOT_EXISTS).is_some(),
            relations: relations.filter_map(|each| name_of(&each)).collect(),
            names: reads(node),
            star: targets
                .map(|each| sole_text(&each))
                .any(|text| is_star(&text)),
            columns: columns(node),
        };
        self.push(node, Op::CreateView(view));
    }
}

fn is_star(target: &str) -> bool {
    target == "*" || target.ends_with(". *")
}

/// Its columns by name, `None` for a star; nothing when one has a name that the text does not say.
fn columns(node: &SyntaxNode) -> Option<Vec<Option<String>>> {
    if let Some(list) = kid(node, K::COLUMN_LIST) {
        return Some(columns_in(&list).into_iter().map(Some).collect());
    }
    let select = kid(node, K::SELECT)?;
    let list = kid(&select, K::SELECT_CLAUSE).and_then(|each| kid(&each, K::TARGET_LIST))?;
    kids(&list, K::TARGET)
        .map(|target| {
            if is_star(&sole_text(&target)) {
                return Some(None);
            }
            if let Some(alias) = kid(&target, K::AS_NAME) {
                return column_of(&alias).map(Some);
            }
            let expression = target.first_child()?;
            match expression.kind() {
                K::NAME_REF => Some(Some(ident(&expression))),
                K::FIELD_EXPR if !has(&expression, K::STAR) => kids(&expression, K::NAME_REF)
                    .last()
                    .map(|last| Some(ident(&last))),
                _ => None,
            }
        })
        .collect()
}
