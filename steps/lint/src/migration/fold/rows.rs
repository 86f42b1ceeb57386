//! Rows: what is lost, overwritten or filled.

use super::Fold;
use crate::migration::draft::Draft;
use crate::migration::op::{Assignment, Filter, Name, Op, Site};
use crate::migration::query;
use crate::migration::rule::RuleId;
use crate::migration::state::Fill;

impl Fold<'_> {
    pub(super) fn rows(&mut self, op: &Op, site: &Site) {
        let (Op::Truncate(name) | Op::Delete(name, _) | Op::Update(name, ..) | Op::Upsert(name)) =
            op
        else {
            return;
        };
        let existed = self.schema.table(name).was.is_some();
        let object = name.to_string();
        match op {
            Op::Truncate(_) => {
                self.schema.table(name).emptied = true;
                if existed {
                    let message = format!("every row of {name} is lost");
                    self.drafts.push(
                        Draft::error(RuleId::Truncate, site, object, message)
                            .query(query::rows(name)),
                    );
                }
            }
            Op::Delete(_, Filter::All) => {
                self.schema.table(name).emptied = true;
                if existed {
                    let message = format!("every row of {name} is deleted");
                    self.drafts.push(
                        Draft::error(RuleId::DeleteAll, site, object, message)
                            .query(query::rows(name)),
                    );
                }
            }
            Op::Delete(_, Filter::Some { nulls, text }) => {
                for null in nulls {
                    let column = self.schema.table(name).column(null, site);
                    column.filled = column.filled.max(Fill::Likely);
                }
                if existed {
                    let message = format!("rows of {name} are deleted");
                    self.drafts.push(
                        Draft::warning(RuleId::DeleteRows, site, object, message)
                            .query(query::matching(name, text)),
                    );
                }
            }
            Op::Upsert(_) if existed => {
                let message = format!("existing rows of {name} may be overwritten or deleted");
                self.warn(RuleId::UpdateRows, site, object, message);
            }
            Op::Update(_, assignments, filter) => self.update(name, assignments, filter, site),
            _ => {}
        }
    }

    fn update(&mut self, name: &Name, assignments: &[Assignment], filter: &Filter, site: &Site) {
        let table = self.schema.table(name);
        let existed = table.was.is_some();
        let mut old = Vec::new();
        // What is read may itself have been copied from elsewhere.
        let copied: Vec<Vec<String>> = assignments
            .iter()
            .map(|each| {
                let read = each.reads.iter();
                let further = read.clone().filter_map(|name| table.columns.get(name));
                let further = further.flat_map(|column| column.sources.iter());
                read.chain(further).cloned().collect()
            })
            .collect();
        for (each, reads) in assignments.iter().zip(copied) {
            let column = table.column(&each.column, site);
            if !each.null {
                column.filled = column.filled.max(Fill::Likely);
                column.sources.extend(reads);
            }
            if column.was.is_some() {
                old.push(each.column.clone());
            }
        }
        if !existed {
            return;
        }
        let list = old
            .iter()
            .map(|column| name.column(column))
            .collect::<Vec<_>>()
            .join(", ");
        match filter {
            _ if assignments.is_empty() => {
                self.warn(
                    RuleId::UpdateRows,
                    site,
                    name.to_string(),
                    format!("rows of {name} are changed"),
                );
            }
            _ if old.is_empty() => {}
            Filter::All => {
                let message = format!("the old value of {list} is overwritten in every row");
                self.drafts.push(
                    Draft::error(RuleId::UpdateAll, site, list, message).query(query::rows(name)),
                );
            }
            Filter::Some { nulls, .. } if old.iter().all(|column| nulls.contains(column)) => {}
            Filter::Some { text, .. } => {
                let message = format!("existing values of {list} are overwritten");
                self.drafts.push(
                    Draft::warning(RuleId::UpdateRows, site, list, message)
                        .query(query::matching(name, text)),
                );
            }
        }
    }
}
