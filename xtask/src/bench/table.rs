//! Results as a table, with ratios to the transcription of the authors' code and to the machine's peak.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::ASCII_MARKDOWN};

use super::results::{CaseResult, SetResult, VariantResult};

const HEADERS: [&str; 11] = [
    "what",
    "engine",
    "weights",
    "allocator",
    "seconds",
    "per second",
    "× faster",
    "of peak",
    "MB",
    "÷ memory",
    "difference",
];

/// A Markdown table of what was measured of a set. Seconds are the shortest, memory is the greatest over all rounds; ratios are to the first
/// engine of a case with the same allocator.
pub(crate) fn table(set: &SetResult) -> Table {
    let mut table = Table::new();
    table
        .load_style(ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(HEADERS);
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for case in &set.cases {
        let tried = |v: &&VariantResult| !v.runs.is_empty() || v.failure.is_some();
        for variant in case.variants.iter().filter(tried) {
            table.add_row(row(set, case, variant));
        }
    }
    table
}

fn row(set: &SetResult, case: &CaseResult, variant: &VariantResult) -> [String; 11] {
    let seconds = variant.least("/seconds/min");
    let memory = variant.greatest("/memory/activations");
    let base = case
        .variants
        .iter()
        .find(|v| v.allocator == variant.allocator);
    let base = base.filter(|base| base.engine != variant.engine);
    let faster = ratio(base.and_then(|base| base.least("/seconds/min")), seconds);
    let smaller = ratio(
        base.and_then(|base| base.greatest("/memory/activations")),
        memory,
    );
    let kind = if variant.weights == "bf16" {
        "bf16"
    } else {
        "f32"
    };
    let rate = variant.greatest("/operations/needed_per_second");
    let share = rate
        .zip(set.peak(kind))
        .map(|(rate, peak)| 100.0 * rate / peak);
    let difference = variant.greatest("/difference/relative");
    let show = |value: Option<f64>, text: fn(f64) -> String| value.map(text).unwrap_or_default();
    [
        case.name.clone(),
        variant.engine.clone(),
        variant.weights.clone(),
        variant.allocator.clone(),
        match (&variant.failure, seconds) {
            (Some(failure), None) => failure.clone(),
            _ => show(seconds, |s| format!("{s:.4}")),
        },
        show(variant.greatest("/images_per_second"), |n| {
            format!("{n:.2}")
        }),
        show(faster, |n| format!("{n:.2}")),
        show(share, |n| format!("{n:.0} %")),
        show(memory, |n| format!("{:.0}", n / 1e6)),
        show(smaller, |n| format!("{n:.1}")),
        show(difference, |n| format!("{n:.1e}")),
    ]
}

/// What the attention of a propagator takes: the time of a case over pairs and over edges, each less that over nothing.
pub(crate) fn attention_alone(case: &CaseResult) -> Option<String> {
    let least = |engine: &str| {
        let variant = case
            .variants
            .iter()
            .find(|variant| variant.engine == engine)?;
        variant.least("/seconds/min")
    };
    let nothing = least("nothing")?;
    let (pairs, edges) = (least("pairs")? - nothing, least("edges")? - nothing);
    (edges > 0.0).then(|| {
        let name = &case.name;
        let ratio = pairs / edges;
        format!("{name}: attention alone {pairs:.3} s over pairs, {edges:.4} s over edges, {ratio:.1} times")
    })
}

fn ratio(base: Option<f64>, own: Option<f64>) -> Option<f64> {
    let (base, own) = base.zip(own)?;
    (own > 0.0).then(|| base / own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::machine::Machine;
    use serde_json::{Value, json};

    fn variant(engine: &str, allocator: &str, run: Value) -> VariantResult {
        VariantResult {
            engine: engine.into(),
            weights: "f32".into(),
            allocator: allocator.into(),
            command: String::new(),
            runs: vec![run],
            failure: None,
        }
    }

    #[test]
    fn ratios_are_to_the_same_allocator_and_the_peak() {
        let run = |seconds: f64, memory: u64| {
            json!({
                "seconds": {"min": seconds},
                "memory": {"activations": memory},
                "operations": {"needed_per_second": 60.0 / seconds},
            })
        };
        let case = CaseResult {
            name: "chonker forward 1".into(),
            variants: vec![
                variant("naive", "default", run(8.0, 800_000_000)),
                variant("core", "default", run(1.0, 50_000_000)),
                variant("naive", "tuned", run(4.0, 900_000_000)),
                variant("core", "tuned", run(1.0, 50_000_000)),
            ],
        };
        let set = SetResult {
            command: String::new(),
            revision: String::new(),
            machine: Machine::here(),
            load: [None, None],
            finished: true,
            gemm: vec![json!({"peaks": [{"kind": "f32", "flop_per_second": 100.0}]})],
            cases: vec![case.clone()],
        };
        let cells = |index: usize| row(&set, &case, &case.variants[index]);
        assert_eq!(cells(0)[6], "", "the baseline has no ratio to itself");
        assert_eq!(
            (cells(1)[6].as_str(), cells(1)[7].as_str()),
            ("8.00", "60 %")
        );
        assert_eq!((cells(1)[8].as_str(), cells(1)[9].as_str()), ("50", "16.0"));
        assert_eq!(cells(3)[6], "4.00");
        let text = table(&set).to_string();
        assert_eq!(text.lines().count(), 6, "{text}");
    }

    #[test]
    fn attention_is_what_is_more_than_nothing() {
        let run = |seconds: f64| json!({"seconds": {"min": seconds}});
        let mut case = CaseResult {
            name: "p".into(),
            variants: vec![
                variant("pairs", "default", run(5.0)),
                variant("edges", "default", run(1.25)),
                variant("nothing", "default", run(1.0)),
            ],
        };
        let text = attention_alone(&case).unwrap();
        assert!(text.ends_with("16.0 times"), "{text}");
        case.variants.pop();
        assert_eq!(attention_alone(&case), None);
    }

    #[test]
    fn failures_stand_where_seconds_would() {
        let mut failed = variant("naive", "default", json!({}));
        failed.failure = Some("does not fit".into());
        let case = CaseResult {
            name: "x".into(),
            variants: vec![failed],
        };
        let set = SetResult {
            command: String::new(),
            revision: String::new(),
            machine: Machine::here(),
            load: [None, None],
            finished: true,
            gemm: Vec::new(),
            cases: Vec::new(),
        };
        assert_eq!(row(&set, &case, &case.variants[0])[4], "does not fit");
    }
}
