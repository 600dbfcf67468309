//! The stages as a Markdown table.

use std::fmt::Write;

use super::{Operations, Work};

/// A table of both ways of computing, in billions of operations, millions of special functions and megabytes.
#[must_use]
pub fn table(reference: &Operations, folded: &Operations) -> String {
    let mut text = String::from(
        "| stage | reference GFLOP | needed GFLOP | exp and erf, M | activations MB | weights MB |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for (theirs, ours) in reference.stages.iter().zip(&folded.stages) {
        let needed = if ours.per_example == Work::default() {
            "once".to_owned()
        } else {
            giga(ours.per_example.flops)
        };
        let all = ours.per_example + ours.per_call;
        let theirs = theirs.per_example + theirs.per_call;
        row(&mut text, ours.name, &giga(theirs.flops), &needed, all);
    }
    let total = folded.per_example() + folded.per_call();
    let (theirs, ours) = (giga(reference.inference(1)), giga(folded.inference(1)));
    row(&mut text, "**one example**", &theirs, &ours, total);
    let (theirs, ours) = (reference.per_call().flops, folded.per_call().flops);
    let _ = writeln!(
        text,
        "\nOf these, {} GFLOP of the reference do not depend on the input; after folding, {} GFLOP are computed once \
         for a model.",
        giga(theirs),
        giga(ours),
    );
    text
}

fn row(text: &mut String, name: &str, theirs: &str, ours: &str, work: Work) {
    let mega = |number: u64| format!("{:.1}", number as f64 / 1e6);
    let _ = writeln!(
        text,
        "| {name} | {theirs} | {ours} | {} | {} | {} |",
        mega(work.special),
        mega(work.bytes),
        mega(work.weight_bytes),
    );
}

fn giga(number: u64) -> String {
    format!("{:.3}", number as f64 / 1e9)
}
