//! [`Modality`]: kinds of files.

/// What kind of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// Folders of images.
    Images,
    /// Folders of texts, or a table with a column of texts.
    Texts,
    /// Folders of meshes or lists of points.
    Points,
    /// A table of numbers.
    Table,
}
