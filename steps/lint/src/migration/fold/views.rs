//! Views: what they read must stay as long as they do, and who reads them must find their columns.

use std::collections::{BTreeMap, BTreeSet};

use super::Fold;
use crate::migration::draft::Draft;
use crate::migration::op::{Name, NewView, Op, Site};
use crate::migration::rule::RuleId;
use crate::migration::state::{View, lost};

const VIEW: &str = "VIEW";

impl Fold<'_> {
    pub(super) fn create_view(&mut self, new: &NewView, site: &Site) {
        let columns = self.columns_of(new);
        if let Some(old) = self.schema.views.get(&new.name) {
            if new.if_not_exists {
                return;
            }
            let lost = lost(old.columns.as_deref(), columns.as_deref());
            if new.replace && !lost.is_empty() {
                let message = format!(
                    "{} loses {}: PostgreSQL refuses CREATE OR REPLACE that drops or renames a column of a view",
                    new.name,
                    lost.join(", ")
                );
                return self.error(RuleId::ViewColumn, site, new.name.to_string(), message);
            }
        }
        let mut reads: BTreeMap<Name, BTreeSet<String>> = BTreeMap::new();
        for relation in &new.relations {
            let mut used: BTreeSet<String> = new.names.iter().cloned().collect();
            if new.star {
                used.extend(self.schema.columns_of(relation));
            }
            reads.insert(relation.clone(), used);
        }
        let view = View {
            sure: reads.len() == 1,
            reads,
            columns,
            fresh: true,
            site: site.clone(),
        };
        self.schema.remove_view(&new.name);
        self.schema.views.insert(new.name.clone(), view);
        let made = Op::CreateObject(VIEW.to_owned(), new.name.clone());
        self.one(&made, site, 1);
    }

    /// By name, stars as the tables are now; nothing when that cannot be known.
    fn columns_of(&self, new: &NewView) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for column in new.columns.as_ref()? {
            match (column, new.relations.as_slice()) {
                (Some(name), _) => all.push(name.clone()),
                (None, [only]) => {
                    let columns = self.schema.columns_of(only);
                    if columns.is_empty() {
                        return None;
                    }
                    all.extend(columns);
                }
                (None, _) => return None,
            }
        }
        Some(all)
    }

    /// `PostgreSQL` refuses to drop what a view reads, or to change the type of such a column; with CASCADE the view goes too.
    pub(super) fn read_by_views(
        &mut self,
        (name, column): (&Name, Option<&str>),
        cascade: bool,
        doing: &str,
        site: &Site,
    ) {
        let reads = |view: &View| {
            let used = view.reads.get(name)?;
            let touched = column.is_none_or(|column| used.contains(column));
            touched.then_some(column.is_none() || view.sure)
        };
        let views = self.schema.views.iter();
        let found: Vec<(Name, bool)> = views
            .filter_map(|(view, each)| Some((view.clone(), reads(each)?)))
            .collect();
        let what = column.map_or_else(|| name.to_string(), |column| name.column(column));
        for (view, sure) in found {
            if cascade {
                self.drop_view(&view, true, site);
                self.drop_object(VIEW, &view, site);
                continue;
            }
            let message = format!(
                "view {view} reads {what}{}: PostgreSQL refuses to {doing} while the view is there, and the migration fails",
                if sure {
                    ""
                } else {
                    ", as far as its text tells"
                }
            );
            let rule = RuleId::ViewInTheWay;
            self.drafts.push(if sure {
                Draft::error(rule, site, view.to_string(), message)
            } else {
                Draft::warning(rule, site, view.to_string(), message)
            });
        }
    }

    /// Takes a view away. What else reads it is in the way, unless the same statement drops that too.
    pub(super) fn drop_view(&mut self, name: &Name, cascade: bool, site: &Site) {
        let object = name.to_string();
        self.drafts.retain(|each| {
            each.rule != RuleId::ViewInTheWay || each.site != *site || each.object != object
        });
        if self.schema.remove_view(name) {
            self.read_by_views((name, None), cascade, "drop it", site);
        }
    }

    /// CASCADE is an operation of its own, right before the one it belongs to or whose part that is.
    pub(super) fn cascades(&self, site: &Site) -> bool {
        let mut here = self.drafts.iter().rev();
        here.any(|each| {
            let whole = &each.site;
            each.rule == RuleId::Cascade
                && whole.inside == site.inside
                && (whole.start..=whole.end).contains(&site.start)
                && site.end <= whole.end
        })
    }

    /// A view goes on reading what has another name now.
    pub(super) fn renamed_under_views(&mut self, from: &Name, to: &Name) {
        for view in self.schema.views.values_mut() {
            if let Some(used) = view.reads.remove(from) {
                view.reads.insert(to.clone(), used);
            }
        }
    }

    /// As above, of a column.
    pub(super) fn column_renamed_under_views(&mut self, table: &Name, from: &str, to: &str) {
        for view in self.schema.views.values_mut() {
            let used = view.reads.get_mut(table);
            if let Some(used) = used.filter(|used| used.contains(from)) {
                used.remove(from);
                used.insert(to.to_owned());
            }
        }
    }
}
