//! Texts with a class each: IMDB reviews, and a user's own texts in folders or tables.
//!
//! A text is read up to as many symbols as the model can use, kept in memory as bytes, and becomes symbols when an example
//! is asked for: raw bytes, or words of a vocabulary that is learnt from the training texts. A byte-order mark is not part
//! of a text. Texts of words must be UTF-8; raw bytes may be anything.

pub mod imdb;
pub mod text_csv;
pub mod text_folder;

mod corpus;
mod json_lines;
mod read;
mod texts;
mod vocabulary;

#[cfg(test)]
mod tests;
