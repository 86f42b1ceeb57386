//! What a step reports and others read: the shape of its output, once. A field that is renamed here fails to compile
//! wherever it is read. Which step reports it says [`kinds`](crate::means::kinds).

pub mod backup;
pub mod code;
pub mod migrations;
pub mod people;
