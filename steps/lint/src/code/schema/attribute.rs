//! Attributes of a `schema.prisma`, such as `@relation("owner", fields: [ownerId], references: [id])`.

use std::str::CharIndices;

/// `@name(arguments)`, or `@@name(arguments)` of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// `default`, `relation`, `db.VarChar` …
    pub name: String,
    /// In their order.
    pub arguments: Vec<Argument>,
}

/// One argument of an attribute or of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// What stands before its colon.
    pub name: Option<String>,
    /// What it says.
    pub value: Expression,
}

/// What an argument says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// A text in quotes, without them.
    Text(String),
    /// A number, a name, `true`: anything that is one word.
    Word(String),
    /// `now()`, `id(sort: Desc)`.
    Call(String, Vec<Argument>),
    /// A list, such as `[a, b]`.
    List(Vec<Expression>),
}

impl Expression {
    /// The members of an argument that takes a list: Prisma reads one value without brackets as a list of it.
    pub fn members(argument: Option<&Self>) -> &[Self] {
        match argument {
            Some(Self::List(all)) => all,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        }
    }
}

impl Attribute {
    /// An argument by its name; the first without one is `default`'s.
    pub fn get(&self, name: &str, default: bool) -> Option<&Expression> {
        argument(&self.arguments, name, default)
    }

    /// The text of an argument, as for [`Attribute::get`].
    pub fn text(&self, name: &str, default: bool) -> Option<&str> {
        match self.get(name, default)? {
            Expression::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// An argument by its name, or the first that has none.
pub fn argument<'a>(all: &'a [Argument], name: &str, default: bool) -> Option<&'a Expression> {
    let named = all.iter().find(|each| each.name.as_deref() == Some(name));
    let unnamed = || all.iter().find(|each| default && each.name.is_none());
    named.or_else(unnamed).map(|each| &each.value)
}

/// The attributes of a field or block; `None` when the text is none.
pub(super) fn read(text: &str) -> Option<Vec<Attribute>> {
    let mut reader = Reader { rest: text };
    let mut all = Vec::new();
    loop {
        reader.space();
        if reader.rest.is_empty() {
            return Some(all);
        }
        reader.rest = reader
            .rest
            .strip_prefix("@@")
            .or_else(|| reader.rest.strip_prefix('@'))?;
        let name = reader.word()?;
        reader.space();
        let arguments = if reader.take('(') {
            reader.arguments(')')?
        } else {
            Vec::new()
        };
        all.push(Attribute { name, arguments });
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.rest.strip_prefix(c);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn word(&mut self) -> Option<String> {
        let inside = |c: char| c.is_alphanumeric() || "_.-+".contains(c);
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// Up to the sign that closes them.
    fn arguments(&mut self, close: char) -> Option<Vec<Argument>> {
        let mut all = Vec::new();
        loop {
            self.space();
            if self.take(close) {
                return Some(all);
            }
            let before = self.rest;
            let name = self.word().filter(|_| {
                self.space();
                self.take(':')
            });
            if name.is_none() {
                self.rest = before;
            }
            self.space();
            let value = self.expression()?;
            all.push(Argument { name, value });
            self.space();
            if !self.take(',') && !self.rest.starts_with(close) {
                return None;
            }
        }
    }

    fn expression(&mut self) -> Option<Expression> {
        if self.take('"') {
            return self.text().map(Expression::Text);
        }
        if self.take('[') {
            let all = self.arguments(']')?;
            return Some(Expression::List(
                all.into_iter().map(|each| each.value).collect(),
            ));
        }
        let word = self.word()?;
        self.space();
        if self.take('(') {
            return Some(Expression::Call(word, self.arguments(')')?));
        }
        Some(Expression::Word(word))
    }

    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(match chars.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => unicode(&mut chars)?,
                    c => c,
                }),
                c => text.push(c),
            }
        }
        None
    }
}

/// Four hexadecimal digits, as in JSON: a sign beyond the first 65,536 is written as two halves.
fn unicode(chars: &mut CharIndices<'_>) -> Option<char> {
    let high = unit(chars)?;
    if !(0xD800..0xDC00).contains(&high) {
        return char::from_u32(high);
    }
    let (slash, u) = (chars.next()?.1, chars.next()?.1);
    let low =
        unit(chars).filter(|low| (slash, u) == ('\\', 'u') && (0xDC00..0xE000).contains(low))?;
    char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))
}

fn unit(chars: &mut CharIndices<'_>) -> Option<u32> {
    let mut value = 0;
    for _ in 0..4 {
        value = value * 16 + chars.next()?.1.to_digit(16)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_may_be_texts_names_calls_and_lists_and_may_have_names() {
        let all = read(r#"@id @default(dbgenerated("a(\"b\")")) @relation("x", fields: [a, b], onDelete: Cascade) @db.VarChar(20)"#).unwrap();
        let names: Vec<&str> = all.iter().map(|each| each.name.as_str()).collect();
        assert_eq!(names, ["id", "default", "relation", "db.VarChar"]);
        assert_eq!(
            all[1].get("value", true),
            Some(&Expression::Call(
                "dbgenerated".into(),
                vec![Argument {
                    name: None,
                    value: Expression::Text("a(\"b\")".into())
                }]
            ))
        );
        assert_eq!(all[2].text("name", true), Some("x"));
        assert_eq!(
            all[2].get("onDelete", false),
            Some(&Expression::Word("Cascade".into()))
        );
        let index =
            read(r#"@@index([a(sort: Desc), b(ops: raw("gin_trgm_ops"))], type: Gin, map: "i")"#)
                .unwrap();
        let Some(Expression::List(columns)) = index[0].get("fields", true) else {
            panic!("{index:?}");
        };
        assert_eq!(columns.len(), 2);
        assert_eq!(index[0].text("map", false), Some("i"));
    }

    #[test]
    fn signs_may_be_written_by_their_numbers() {
        let all = read(r#"@default("\u00e9 \uD83D\uDE00 \b")"#).unwrap();
        assert_eq!(all[0].text("value", true), Some("\u{e9} \u{1F600} \u{8}"));
    }

    #[test]
    fn what_is_no_attribute_is_refused() {
        for text in [
            r#"@a("\u00g9")"#,
            r#"@a("\uD83Dx")"#,
            r#"@a("\uDE00")"#,
            "x",
            "@",
            "@default(",
            "@default(\"x)",
            "@a(b c)",
            "@a([1)",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
