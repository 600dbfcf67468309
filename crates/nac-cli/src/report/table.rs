//! The results table for the terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::row::Row;

/// The rows as a table of at most `width` columns; without a width, that of the terminal, or no limit where
/// standard output is none.
#[must_use]
pub fn terminal_table(rows: &[Row], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    table.set_header(Row::HEADS);
    for row in rows {
        // A number and its unit stay on one line; only the last cell may hold a sentence.
        let mut cells = row.cells();
        let last = cells.len() - 1;
        cells[1..last]
            .iter_mut()
            .for_each(|cell| *cell = cell.replace(' ', "\u{a0}"));
        table.add_row(cells);
    }
    for (column, head) in Row::HEADS.iter().enumerate() {
        if !matches!(*head, "Data" | "Model" | "Profile" | "Paper")
            && let Some(column) = table.column_mut(column)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string().replace('\u{a0}', " ");
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}
