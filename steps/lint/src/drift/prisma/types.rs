//! What Prisma's types are in PostgreSQL.

/// The type of a field that says nothing more.
pub(in crate::drift) fn scalar(kind: &str) -> Option<(&'static str, Vec<i64>)> {
    Some(match kind {
        "String" => ("text", Vec::new()),
        "Boolean" => ("boolean", Vec::new()),
        "Int" => ("integer", Vec::new()),
        "BigInt" => ("bigint", Vec::new()),
        "Float" => ("double precision", Vec::new()),
        "Decimal" => ("numeric", vec![65, 30]),
        "DateTime" => ("timestamp", vec![3]),
        "Json" => ("jsonb", Vec::new()),
        "Bytes" => ("bytea", Vec::new()),
        _ => return None,
    })
}

pub(super) fn native_type(name: &str) -> Option<&'static str> {
    Some(match name {
        "Text" => "text",
        "Char" => "char",
        "VarChar" => "varchar",
        "Bit" => "bit",
        "VarBit" => "varbit",
        "Uuid" => "uuid",
        "Xml" => "xml",
        "Inet" => "inet",
        "Citext" => "citext",
        "Boolean" => "boolean",
        "Integer" => "integer",
        "SmallInt" => "smallint",
        "BigInt" => "bigint",
        "Oid" => "oid",
        "Real" => "real",
        "DoublePrecision" => "double precision",
        "Decimal" => "numeric",
        "Money" => "money",
        "Timestamp" => "timestamp",
        "Timestamptz" => "timestamptz",
        "Date" => "date",
        "Time" => "time",
        "Timetz" => "timetz",
        "Json" => "json",
        "JsonB" => "jsonb",
        "ByteA" => "bytea",
        _ => return None,
    })
}
