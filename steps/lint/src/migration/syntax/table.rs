//! Tables, indexes and types.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::Reader;
use super::column::{column, constraint, default_of};
use super::tree::{
    cascades, column_of, has, ident, kid, kids, name_of, sole_text, string, type_of,
};
use crate::migration::op::{
    ColumnChange, Details, Key, Name, NewIndex, NewTable, Op, TableChange, Trouble, TypeChange,
    Value,
};

/// Forms of ALTER TABLE that take no second action (manual, ALTER TABLE).
const STANDS_ALONE: &[K] = &[
    K::RENAME_COLUMN,
    K::RENAME_CONSTRAINT,
    K::TABLE_RENAME_TO,
    K::SET_SCHEMA,
];

impl Reader<'_> {
    pub(super) fn create_table(&mut self, node: &SyntaxNode) {
        let into = kid(node, K::INTO_CLAUSE);
        let holder = into.as_ref().unwrap_or(node);
        let Some(name) = kid(holder, K::TABLE_NAME).and_then(|each| name_of(&each)) else {
            return self.push(node, Op::Unknown("CREATE TABLE".to_owned()));
        };
        let mut table = NewTable {
            name,
            temp: kid(holder, K::TEMP).is_some(),
            if_not_exists: kid(node, K::IF_NOT_EXISTS).is_some(),
            open: node.kind() != K::CREATE_TABLE
                || node
                    .children()
                    .any(|each| matches!(each.kind(), K::PARTITION_OF | K::OF_TYPE | K::INHERITS)),
            part: kid(node, K::PARTITION_OF).is_some(),
            columns: Vec::new(),
            constraints: Vec::new(),
        };
        for argument in kid(node, K::TABLE_ARG_LIST)
            .iter()
            .flat_map(SyntaxNode::children)
        {
            if argument.kind() == K::COLUMN {
                table.columns.extend(column(&argument));
            } else if let Some(constraint) = constraint(&argument) {
                table.constraints.push(constraint);
            } else if argument.kind() == K::LIKE_CLAUSE {
                table.open = true;
            }
        }
        if node.kind() != K::CREATE_TABLE {
            self.nested_rows(node);
        }
        self.push(node, Op::CreateTable(table));
    }

    pub(super) fn drop_table(&mut self, node: &SyntaxNode) {
        let if_exists = kid(node, K::IF_EXISTS).is_some();
        for each in kids(node, K::TABLE_NAME_REF) {
            if let Some(name) = name_of(&each) {
                let cascade = cascades(node);
                self.push(
                    &each,
                    Op::DropTable {
                        name,
                        if_exists,
                        cascade,
                    },
                );
            }
        }
    }

    pub(super) fn alter_table(&mut self, node: &SyntaxNode) {
        let Some(table) = kid(node, K::TABLE_RELATION_NAME).and_then(|each| name_of(&each)) else {
            return self.push(node, Op::Unknown("ALTER TABLE ALL".to_owned()));
        };
        let lenient = kid(node, K::IF_EXISTS).is_some();
        let actions = node
            .children()
            .filter(|each| !matches!(each.kind(), K::TABLE_RELATION_NAME | K::IF_EXISTS));
        let alone = actions.count() == 1;
        for action in node.children() {
            if matches!(action.kind(), K::TABLE_RELATION_NAME | K::IF_EXISTS) {
                continue;
            }
            if !alone && STANDS_ALONE.contains(&action.kind()) {
                let message = "this must be the only action of its ALTER TABLE";
                self.problem(&action, Trouble::Syntax, message);
            }
            if matches!(action.kind(), K::DROP_COLUMN | K::DROP_CONSTRAINT) && cascades(&action) {
                self.push(&action, Op::Cascade(super::words(&action, 3)));
            }
            if matches!(action.kind(), K::ATTACH_PARTITION | K::DETACH_PARTITION)
                && let Some(part) = action.children().find_map(|each| name_of(&each))
            {
                let is = action.kind() == K::ATTACH_PARTITION;
                self.push(&action, Op::Part(part, is));
            }
            if let Some(op) = table_change(&table, &action, lenient) {
                self.push(&action, op);
            }
        }
    }

    pub(super) fn create_index(&mut self, node: &SyntaxNode) {
        let table = kid(node, K::TABLE_RELATION_NAME).and_then(|each| name_of(&each));
        let Some(table) = table else {
            return self.push(node, Op::Unknown("CREATE INDEX".to_owned()));
        };
        if has(node, K::CONCURRENTLY_KW) {
            self.push(node, Op::Concurrently);
        }
        let mut key = Key::plain(Vec::new(), false);
        let method = kid(node, K::USING_METHOD).map(|each| sole_text(&each).to_ascii_lowercase());
        let method = method.and_then(|text| Some(text.strip_prefix("using")?.trim().to_owned()));
        let mut details = Details {
            method: method.filter(|method| method != "btree"),
            order: Vec::new(),
        };
        for item in kid(node, K::PARTITION_ITEM_LIST)
            .iter()
            .flat_map(SyntaxNode::children)
        {
            let name = kid(&item, K::NAME_REF).map(|each| ident(&each));
            key.terms.push(name.as_ref().map_or_else(
                || sole_text(&item),
                |name| crate::migration::op::quoted(name),
            ));
            key.columns.push(name);
            let descending = kid(&item, K::SORT_DESC).is_some();
            let ops = kid(&item, K::OP_CLASS_REF).map(|each| sole_text(&each).replace(' ', ""));
            details.order.push((descending, ops));
        }
        key.predicate = kid(node, K::WHERE_CLAUSE).map(|each| sole_text(&each));
        key.nulls_not_distinct = kid(node, K::NULLS_NOT_DISTINCT).is_some();
        let index = NewIndex {
            name: kid(node, K::INDEX).and_then(|each| name_of(&each)),
            table,
            unique: has(node, K::UNIQUE_KW),
            concurrently: has(node, K::CONCURRENTLY_KW),
            key,
            details,
            if_not_exists: kid(node, K::IF_NOT_EXISTS).is_some(),
        };
        self.push(node, Op::CreateIndex(index));
    }

    pub(super) fn drop_index(&mut self, node: &SyntaxNode) {
        if has(node, K::CONCURRENTLY_KW) {
            self.push(node, Op::Concurrently);
        }
        if cascades(node) {
            self.push(node, Op::Cascade("DROP INDEX".to_owned()));
        }
        let if_exists = kid(node, K::IF_EXISTS).is_some();
        for each in kids(node, K::INDEX_REF) {
            if let Some(name) = name_of(&each) {
                self.push(&each, Op::DropIndex { name, if_exists });
            }
        }
    }

    /// Renames are followed; storage settings and statistics change nothing that code sees.
    pub(super) fn alter_index(&mut self, node: &SyntaxNode) {
        let from = kid(node, K::INDEX_REF).and_then(|each| name_of(&each));
        let to = kid(node, K::INDEX_RENAME_TO).and_then(|each| name_of(&each));
        if let (Some(from), Some(to)) = (from, to) {
            self.push(node, Op::RenameIndex(from, to.name));
        }
    }

    pub(super) fn create_type(&mut self, node: &SyntaxNode) {
        let name = kid(node, K::TYPE_NAME).and_then(|each| name_of(&each));
        if let (Some(name), Some(kind)) = (name, kid(node, K::ENUM_TYPE)) {
            let labels = kind
                .descendants()
                .filter(|each| each.kind() == K::VARIANT)
                .filter_map(|each| string(&each));
            self.push(node, Op::CreateEnum(name, labels.collect()));
        }
    }

    pub(super) fn alter_type(&mut self, node: &SyntaxNode) {
        let Some(name) = kid(node, K::TYPE_NAME_REF).and_then(|each| name_of(&each)) else {
            return self.push(node, Op::Unknown("ALTER TYPE".to_owned()));
        };
        for action in node
            .children()
            .filter(|each| each.kind() != K::TYPE_NAME_REF)
        {
            let op = match action.kind() {
                K::ADD_VALUE => kid(&action, K::LITERAL)
                    .and_then(|each| string(&each))
                    .map(TypeChange::AddLabel),
                K::RENAME_VALUE => {
                    let mut labels = kids(&action, K::LITERAL).filter_map(|each| string(&each));
                    labels
                        .next()
                        .zip(labels.next())
                        .map(|(from, to)| TypeChange::RenameLabel(from, to))
                }
                K::TYPE_RENAME_TO => name_of(&action).map(|to| TypeChange::Rename(to.name)),
                K::SET_SCHEMA => {
                    kid(&action, K::SCHEMA_REF).map(|each| TypeChange::Move(ident(&each)))
                }
                K::OWNER_TO => continue,
                K::ALTER_TYPE_ATTRIBUTE_ACTION_LIST => {
                    for dropped in kids(&action, K::DROP_ATTRIBUTE) {
                        let attribute =
                            kid(&dropped, K::COMPOSITE_FIELD_REF).map(|each| ident(&each));
                        let change = TypeChange::DropAttribute(attribute.unwrap_or_default());
                        self.push(&dropped, Op::AlterType(name.clone(), change));
                    }
                    if action
                        .children()
                        .all(|each| matches!(each.kind(), K::DROP_ATTRIBUTE | K::ADD_ATTRIBUTE))
                    {
                        continue;
                    }
                    None
                }
                _ => None,
            };
            let op = op.map_or_else(
                || Op::Unknown("ALTER TYPE".to_owned()),
                |change| Op::AlterType(name.clone(), change),
            );
            self.push(&action, op);
        }
    }

    pub(super) fn drop_type(&mut self, node: &SyntaxNode) {
        let if_exists = kid(node, K::IF_EXISTS).is_some();
        for each in kids(node, K::TYPE_NAME_REF) {
            if let Some(name) = name_of(&each) {
                let cascade = cascades(node);
                self.push(
                    &each,
                    Op::DropType {
                        name,
                        if_exists,
                        cascade,
                    },
                );
            }
        }
    }
}

fn table_change(table: &Name, action: &SyntaxNode, lenient: bool) -> Option<Op> {
    let if_exists = lenient || kid(action, K::IF_EXISTS).is_some();
    let change = match action.kind() {
        K::ADD_COLUMN => column(action).map(|column| TableChange::Add {
            column,
            if_not_exists: kid(action, K::IF_NOT_EXISTS).is_some(),
        }),
        K::DROP_COLUMN => column_of(action)
            .map(|name| TableChange::Column(name, ColumnChange::Drop { if_exists })),
        K::RENAME_COLUMN => {
            let to = kid(action, K::COLUMN_NAME).map(|each| ident(&each));
            let from = kid(action, K::COLUMN_NAME_REF).map(|each| ident(&each));
            from.zip(to)
                .map(|(from, to)| TableChange::Column(from, ColumnChange::Rename(to)))
        }
        K::ALTER_COLUMN => return alter_column(table, action),
        K::TABLE_RENAME_TO => name_of(action).map(|to| TableChange::Rename(to.name)),
        K::SET_SCHEMA => kid(action, K::SCHEMA_REF).map(|each| TableChange::Move(ident(&each))),
        K::ADD_CONSTRAINT => action
            .children()
            .find_map(|each| constraint(&each))
            .map(TableChange::Constrain),
        K::DROP_CONSTRAINT => kid(action, K::CONSTRAINT_NAME_REF)
            .and_then(|each| name_of(&each))
            .map(|name| TableChange::Unconstrain {
                name: name.name,
                if_exists,
            }),
        K::RENAME_CONSTRAINT => {
            let from = kid(action, K::CONSTRAINT_NAME_REF).and_then(|each| name_of(&each));
            let to = kid(action, K::CONSTRAINT_NAME).map(|each| ident(&each));
            from.zip(to)
                .map(|(from, to)| TableChange::RenameConstraint(from.name, to))
        }
        K::VALIDATE_CONSTRAINT => kid(action, K::CONSTRAINT_NAME_REF)
            .and_then(|each| name_of(&each))
            .map(|name| TableChange::Validate(name.name)),
        // Owner, storage and planner settings: no code sees them.
        K::OWNER_TO
        | K::CLUSTER_ON
        | K::SET_WITHOUT_CLUSTER
        | K::SET_WITHOUT_OIDS
        | K::SET_OPTIONS
        | K::RESET_OPTIONS
        | K::REPLICA_IDENTITY => return None,
        K::SET_LOGGED | K::SET_UNLOGGED | K::SET_TABLESPACE | K::SET_ACCESS_METHOD => {
            Some(TableChange::Rewrite("the storage of the table changes"))
        }
        kind if format!("{kind:?}").contains("RLS") || format!("{kind:?}").contains("TRIGGER") => {
            return Some(Op::Behaviour(format!("{} ON {table}", sole_text(action))));
        }
        _ => None,
    };
    Some(change.map_or_else(
        || Op::Unknown(format!("ALTER TABLE … {}", super::words(action, 2))),
        |change| Op::Alter(table.clone(), change),
    ))
}

fn alter_column(table: &Name, action: &SyntaxNode) -> Option<Op> {
    let unknown = || Some(Op::Unknown("ALTER COLUMN".to_owned()));
    let Some(name) = column_of(action) else {
        return unknown();
    };
    let Some(option) = action
        .children()
        .find(|each| each.kind() != K::COLUMN_NAME_REF)
    else {
        return unknown();
    };
    let change = match option.kind() {
        K::SET_NOT_NULL => ColumnChange::SetNotNull,
        K::DROP_NOT_NULL => ColumnChange::DropNotNull,
        K::SET_DEFAULT if sole_text(&option).eq_ignore_ascii_case("set default null") => {
            ColumnChange::DropDefault
        }
        K::SET_DEFAULT => {
            let text = default_of(&option);
            ColumnChange::SetDefault(text.unwrap_or_else(|| Value::Text(String::new())))
        }
        K::ADD_GENERATED => ColumnChange::SetDefault(Value::Sequence),
        K::DROP_DEFAULT | K::DROP_IDENTITY | K::DROP_EXPRESSION => ColumnChange::DropDefault,
        K::SET_TYPE => ColumnChange::SetType(type_of(&option).map(|(ty, _)| ty)),
        K::SET_STATISTICS
        | K::SET_STORAGE
        | K::SET_COMPRESSION
        | K::SET_OPTIONS
        | K::RESET_OPTIONS => return None,
        _ => return unknown(),
    };
    Some(Op::Alter(table.clone(), TableChange::Column(name, change)))
}
