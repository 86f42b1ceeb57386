//! The layout of a value as a format without names sees it: the order and type of everything, and each variant's number.

use std::fmt::{self, Display};

use serde::ser::{self, Serialize};

/// `{at:i64,record:5Done{step:u32,…}}`: names are there for people, numbers, order and types are what counts.
pub(crate) fn layout(value: &impl Serialize) -> String {
    let mut text = String::new();
    value
        .serialize(Describe(&mut text))
        .expect("a record is plain data");
    text
}

struct Describe<'a>(&'a mut String);

/// What is inside a value; says how it ends.
struct Inside<'a> {
    text: &'a mut String,
    end: char,
    first: bool,
    /// Of a sequence only the first is of interest: the others are like it.
    only_first: bool,
}

#[derive(Debug)]
struct Never(String);

impl Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: Display>(message: T) -> Self {
        Never(message.to_string())
    }
}

type Done = Result<(), Never>;

impl<'a> Describe<'a> {
    fn word(self, word: &str) {
        self.0.push_str(word);
    }

    fn numbered(&mut self, index: u32, name: &str) {
        self.0.push_str(&index.to_string());
        self.0.push_str(name);
    }

    fn inside(self, start: char, end: char) -> Inside<'a> {
        self.0.push(start);
        Inside {
            text: self.0,
            end,
            first: true,
            only_first: start == '[',
        }
    }
}

impl Inside<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Done {
        if self.only_first && !self.first {
            return Ok(());
        }
        if !self.first {
            self.text.push(',');
        }
        self.first = false;
        if !name.is_empty() {
            self.text.push_str(name);
            self.text.push(':');
        }
        value.serialize(Describe(self.text))
    }

    fn close(self) {
        self.text.push(self.end);
    }
}

macro_rules! words {
    ($($method:ident $type:ty => $word:literal;)*) => {
        $(fn $method(self, _: $type) -> Done { self.word($word); Ok(()) })*
    };
}

impl<'a> ser::Serializer for Describe<'a> {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Inside<'a>;
    type SerializeTuple = Inside<'a>;
    type SerializeTupleStruct = Inside<'a>;
    type SerializeTupleVariant = Inside<'a>;
    type SerializeMap = Inside<'a>;
    type SerializeStruct = Inside<'a>;
    type SerializeStructVariant = Inside<'a>;

    words! {
        serialize_bool bool => "bool";
        serialize_i8 i8 => "i8";
        serialize_i16 i16 => "i16";
        serialize_i32 i32 => "i32";
        serialize_i64 i64 => "i64";
        serialize_u8 u8 => "u8";
        serialize_u16 u16 => "u16";
        serialize_u32 u32 => "u32";
        serialize_u64 u64 => "u64";
        serialize_f32 f32 => "f32";
        serialize_f64 f64 => "f64";
        serialize_char char => "char";
        serialize_str &str => "text";
        serialize_bytes &[u8] => "bytes";
        serialize_unit_struct &'static str => "()";
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_none(self) -> Done {
        self.word("none");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.0.push_str("some ");
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.word("()");
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, name: &'static str) -> Done {
        self.word(&format!("{index}{name}"));
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, v: &T) -> Done {
        v.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Done {
        self.numbered(index, name);
        self.0.push(' ');
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Inside<'a>, Never> {
        Ok(self.inside('[', ']'))
    }

    fn serialize_tuple(self, length: usize) -> Result<Inside<'a>, Never> {
        self.0.push_str(&length.to_string());
        Ok(self.inside('[', ']'))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Inside<'a>, Never> {
        Ok(self.inside('(', ')'))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Inside<'a>, Never> {
        self.numbered(index, name);
        Ok(self.inside('(', ')'))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Inside<'a>, Never> {
        Ok(self.inside('<', '>'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Inside<'a>, Never> {
        Ok(self.inside('{', '}'))
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Inside<'a>, Never> {
        self.numbered(index, name);
        Ok(self.inside('{', '}'))
    }
}

macro_rules! containers {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for Inside<'_> {
            type Ok = ();
            type Error = Never;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                self.item("", value)
            }
            fn end(self) -> Done {
                self.close();
                Ok(())
            }
        }
    )*};
}

containers! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! structures {
    ($($trait:ident;)*) => {$(
        impl ser::$trait for Inside<'_> {
            type Ok = ();
            type Error = Never;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
                self.item(name, value)
            }
            fn end(self) -> Done {
                self.close();
                Ok(())
            }
        }
    )*};
}

structures! {
    SerializeStruct;
    SerializeStructVariant;
}

impl ser::SerializeMap for Inside<'_> {
    type Ok = ();
    type Error = Never;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.item("", key)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.item("", value)
    }
    fn end(self) -> Done {
        self.close();
        Ok(())
    }
}
