//! Parameters that the loss does not reach, found in the first step of a run.

use tch::Tensor;

use super::gradients::Gradients;
use super::state::Trainer;
use crate::error::Result;

/// Ends of names that are expected to get no gradient. Modules that only read have signatures too, which nothing reads
/// unless they send to other modules or a loss term asks for them. The bias of the scorer shifts all scores of a softmax
/// alike, so that its gradient is zero but for rounding.
const EXPECTED: [&str; 2] = ["input_latents.signatures_", "confidence_scorer.bias"];
/// Names that a note shows.
const SHOWN: usize = 8;

impl Trainer {
    /// In the first step of a run, takes down which parameters got no gradient, or one of zeros only, and says so.
    /// Those that cannot get one are left out (`EXPECTED`).
    pub(super) fn check_coverage(&mut self, gradients: &Gradients) -> Result<()> {
        if self.state.without_gradient.is_some() {
            return Ok(());
        }
        let mut names = Vec::new();
        for ((name, tensor), gradient) in self.model.params().parameters().zip(&gradients.tensors) {
            let expected = EXPECTED.iter().any(|end| name.ends_with(end)) || is_behind_a_gate(name);
            if tensor.requires_grad() && !expected && !reaches(gradient)? {
                names.push(name.to_owned());
            }
        }
        if !names.is_empty() {
            self.renderer.note(&note(&names, gradients.tensors.len()));
        }
        self.state.without_gradient = Some(names);
        Ok(())
    }
}

/// Names in a text generator, whose gates start closed: what is behind them gets no gradient before they open.
fn is_behind_a_gate(name: &str) -> bool {
    name.contains(".text_generator.") && !name.ends_with(".gate")
}

/// Whether there is a gradient, and a value of it is not zero.
fn reaches(gradient: &Tensor) -> Result<bool> {
    Ok(gradient.defined() && gradient.f_any()?.f_is_nonzero()?)
}

fn note(names: &[String], parameters: usize) -> String {
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    let more = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more (all of them are in summary.json)"),
    };
    format!(
        "warning: {} of {parameters} parameters got no gradient in the first step, so they do not learn from it: {}{more}",
        names.len(),
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_and_nothing_do_not_reach_a_parameter() {
        assert!(!reaches(&Tensor::new()).unwrap());
        assert!(!reaches(&Tensor::from_slice(&[0.0_f32, -0.0])).unwrap());
        assert!(reaches(&Tensor::from_slice(&[0.0_f32, 1e-30])).unwrap());
        assert!(reaches(&Tensor::from_slice(&[f32::NAN])).unwrap());
    }

    #[test]
    fn a_note_names_some_and_counts_all() {
        let names: Vec<String> = (0..10).map(|i| format!("p{i}")).collect();
        let text = note(&names[..1], 30);
        assert!(text.contains("1 of 30") && text.ends_with(": p0"), "{text}");
        let text = note(&names, 30);
        assert!(
            text.contains("p7 and 2 more") && !text.contains("p8"),
            "{text}"
        );
    }
}
