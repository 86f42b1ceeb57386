use super::*;

const OLD: &str = r#"
datasource db {
  provider = "postgresql"
}
/// Somebody who buys. // not a comment of ours
model Customer {
  id       String  @id @default("// no comment") // the key
  name     String  @map("full_name")
  nickname String?
  role     Role    @default(BUYER)
  tags     String[]
  place    Unsupported("circle")?
  orders   Order[]
  old      Int
  @@map("customers")
  @@index([name], map: "by_name")
}
/* a block
   model Nothing { */
model Order {
  id         String   @id
  customer   Customer @relation(fields: [customerId], references: [id])
  customerId String   @map(name: "customer_id")
}
enum Role {
  BUYER
  SELLER @map("seller")
  @@map("role")
}
"#;

fn read(text: &str) -> Schema {
    Schema::read(text).expect("a schema")
}

#[test]
fn models_fields_enums_and_their_names_in_the_database_are_read() {
    let schema = read(OLD);
    let customer = &schema.models["Customer"];
    assert_eq!(customer.table.as_deref(), Some("customers"));
    assert_eq!(customer.fields.len(), 8);
    assert_eq!(customer.fields["name"].column.as_deref(), Some("full_name"));
    assert!(customer.fields["nickname"].optional && !customer.fields["name"].optional);
    assert!(customer.fields["tags"].list && customer.fields["place"].optional);
    assert_eq!(customer.fields["id"].column, None);
    let order = &schema.models["Order"].fields["customerId"];
    assert_eq!(order.column.as_deref(), Some("customer_id"));
    assert_eq!(
        schema.enums["Role"].values["SELLER"].as_deref(),
        Some("seller")
    );
    assert_eq!(schema.enums["Role"].name.as_deref(), Some("role"));
    assert_eq!(schema.models.len(), 2);
}

#[test]
fn what_code_can_notice_of_a_change_is_told_and_nothing_else() {
    let old = read(OLD);
    assert!(old.changes(&old).concern_nothing());
    let new = OLD
        .replace("name     String  @map", "name     String? @map")
        .replace("  old      Int\n", "  email String?\n  orderCount Int\n")
        .replace("  BUYER\n", "  BUYER\n  ADMIN\n")
        .replace("  SELLER @map(\"seller\")\n", "")
        .replace(
            "place    Unsupported(\"circle\")?",
            "place    Unsupported(\"circle\")",
        );
    let changes = old.changes(&read(&new));
    let fields = |of: &BTreeSet<FieldName>| -> Vec<String> {
        of.iter()
            .map(|f| format!("{}.{}", f.table, f.column))
            .collect()
    };
    assert_eq!(
        fields(&changes.nullable),
        ["customers.email", "customers.full_name"]
    );
    assert_eq!(fields(&changes.removed), ["customers.old"]);
    let labels =
        |of: &BTreeSet<ValueName>| -> Vec<String> { of.iter().map(|v| v.label.clone()).collect() };
    assert_eq!(labels(&changes.values_removed), ["seller"]);
    assert_eq!(labels(&changes.values_added), ["ADMIN"]);
    assert!(changes.other, "a place is required now");
}

#[test]
fn a_relation_is_no_column_and_a_model_that_is_gone_takes_its_columns_along() {
    let old = read(OLD);
    let without = OLD
        .split("model Order")
        .next()
        .expect("text")
        .replace("  orders   Order[]\n", "")
        + "enum Role {\n BUYER\n SELLER @map(\"seller\")\n}\n";
    let changes = old.changes(&read(&without));
    let gone: Vec<_> = changes.removed.iter().map(|f| f.field.as_str()).collect();
    assert_eq!(gone, ["customerId", "id"]);
    assert!(changes.nullable.is_empty() && changes.other);
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_line_and_never_a_smaller_schema() {
    for (text, line) in [
        ("model A {\n id String", 2),
        ("model A {\n id\n}", 2),
        ("\nmodel {\n}", 2),
        ("model A {\n id String\n id String\n}", 3),
        ("model A {\n id String nonsense\n}", 2),
        ("table A {\n}", 1),
    ] {
        assert_eq!(Schema::read(text).expect_err(text).line, line, "{text}");
    }
}

#[test]
fn what_only_the_client_notices_is_not_nothing_and_layout_comments_and_indexes_are() {
    let old = read(OLD);
    let same = OLD
        .replace("  name     String  @map", "  name String   @map")
        .replace("// the key", "// another word")
        .replace(
            "  @@index([name], map: \"by_name\")\n",
            "  @@index([old])\n",
        );
    assert!(old.changes(&read(&same)).concern_nothing());
    for (was, is) in [
        ("  old      Int\n", "  old      Int\n  rank Int\n"),
        (" @default(BUYER)", ""),
        (
            "  customerId String   @map(name: \"customer_id\")",
            "  customerId String   @unique @map(name: \"customer_id\")",
        ),
        ("  orders   Order[]\n", "  bought   Order[]\n"),
        ("@map(\"full_name\")", "@map(\"name\")"),
        ("@@map(\"customers\")", "@@map(\"customer\")"),
    ] {
        let changes = old.changes(&read(&OLD.replace(was, is)));
        assert!(changes.other && !changes.concern_nothing(), "{was} -> {is}");
    }
}
