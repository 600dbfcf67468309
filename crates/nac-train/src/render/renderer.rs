//! [`Renderer`] and the one that shows nothing.

/// What is shown of a step. Loss and metric are means since the last logged step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepProgress<'a> {
    /// Optimizer steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Loss.
    pub loss: f64,
    /// Name and value of the primary metric.
    pub metric: Option<(&'a str, f64)>,
    /// Training examples per second.
    pub examples_per_second: f64,
}

impl std::fmt::Display for StepProgress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loss {:.3}", self.loss)?;
        if let Some((name, value)) = self.metric {
            write!(f, " {name} {value:.3}")?;
        }
        write!(f, " {:.0} examples/s", self.examples_per_second)
    }
}

/// Shows the progress of a run.
pub trait Renderer {
    /// Training starts, or goes on, with `first_step` of `steps` steps done.
    fn start(&mut self, first_step: u64, steps: u64) {
        let _ = (first_step, steps);
    }

    /// A step is done. Called after every step, so it should return soon.
    fn step(&mut self, progress: &StepProgress<'_>);

    /// Something to say once, such as the result of an evaluation.
    fn note(&mut self, text: &str);

    /// Training ended: finished, interrupted or failed.
    fn finish(&mut self) {}
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Renderer for Quiet {
    fn step(&mut self, _progress: &StepProgress<'_>) {}

    fn note(&mut self, _text: &str) {}
}
