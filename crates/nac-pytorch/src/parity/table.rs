//! The table of results.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::compare::Direction;
use super::report::{CaseReport, Report};

const HEADS: [&str; 5] = ["Case", "Forward", "Gradients", "Allowed", "Result"];

/// Worst relative errors, the error allowed for the one nearest to its limit, and the result.
fn cells(case: &CaseReport) -> [String; 5] {
    let error = |direction| {
        case.worst(direction)
            .map_or_else(|| "–".to_owned(), |worst| number(worst.relative_error()))
    };
    let allowed = case.worst_of_all();
    let mut result = case.status.word().to_owned();
    if case.gradients_left_out > 0 {
        result.push_str(", forward only");
    }
    if let Some(reason) = &case.reason {
        result.push_str(": ");
        result.push_str(reason);
    }
    [
        case.case.clone(),
        error(Direction::Forward),
        error(Direction::Gradient),
        allowed.map_or_else(|| "–".to_owned(), |worst| number(worst.relative_allowed())),
        result,
    ]
}

fn number(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else {
        format!("{value:.1e}")
    }
}

/// The table for a terminal; of at most `width` columns, or as wide as the terminal.
#[must_use]
pub fn terminal_table(report: &Report, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    table.set_header(HEADS);
    for case in &report.cases {
        table.add_row(cells(case));
    }
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// The table as lines of text with columns of fixed width, for files and pipes.
#[must_use]
pub fn plain_table(report: &Report) -> String {
    let rows: Vec<[String; 5]> = report.cases.iter().map(cells).collect();
    let names = rows.iter().map(|row| row[0].chars().count());
    let width = names.max().unwrap_or(0).max(HEADS[0].len());
    let line = |row: &[String; 5]| {
        let [name, forward, gradients, allowed, result] = row;
        // A reason of several lines stays below its case.
        let result = result.replace('\n', "\n    ");
        format!("{name:<width$}  {forward:>9}  {gradients:>9}  {allowed:>9}  {result}")
    };
    let mut lines = vec![line(&HEADS.map(str::to_owned))];
    lines.extend(rows.iter().map(line));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::compare::Comparison;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn both_tables_hold_the_same_cells() {
        let comparison = Comparison {
            tensor: "out.y".into(),
            direction: Direction::Forward,
            error: 3e-6,
            allowed: 6e-6,
            largest: 2.0,
            problem: None,
        };
        let pass = CaseReport {
            case: "a_layer".into(),
            status: Status::Pass,
            reason: None,
            seconds: 0.0,
            gradients_left_out: 0,
            fused_blocks: 0,
            tensors: vec![comparison],
        };
        let mut report = Report {
            engine: "core",
            device: "Cpu".into(),
            kind: "Float".into(),
            seconds: 0.0,
            cases: vec![pass, CaseReport::broken("b", "truncated".into())],
        };
        let plain = plain_table(&report);
        let lines: Vec<&str> = plain.lines().collect();
        assert_eq!(lines[1], "a_layer     1.5e-6          –     3.0e-6  pass");
        assert!(lines[2].ends_with("ERROR: truncated"));
        report.cases[0].gradients_left_out = 3;
        assert!(plain_table(&report).contains("3.0e-6  pass, forward only\n"));
        let terminal = terminal_table(&report, Some(100));
        for part in [
            "a_layer",
            "1.5e-6",
            "3.0e-6",
            "pass",
            "ERROR: truncated",
            "Gradients",
        ] {
            assert!(terminal.contains(part), "{part} in\n{terminal}");
        }
    }
}
