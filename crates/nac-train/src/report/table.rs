//! The results table for the terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::row::Row;

/// The rows as a table; `width` is that of the terminal in columns, none for no limit.
#[must_use]
pub fn terminal_table(rows: &[Row], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(Row::HEADS);
    for row in rows {
        table.add_row(row.cells());
    }
    for (column, head) in Row::HEADS.iter().enumerate() {
        if !matches!(*head, "Data" | "Model" | "Profile" | "Paper")
            && let Some(column) = table.column_mut(column)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
