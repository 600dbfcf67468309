//! Where the numbers of a run go: a file, memory, nowhere, or several places.

use crate::error::Result;

/// Some numbers of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened: `train`, `validation`, `test` or `resume`.
    pub kind: &'static str,
    /// Optimizer steps done.
    pub step: u64,
    /// Named numbers, in order.
    pub values: Vec<(String, f64)>,
}

/// Takes the events of a run, in order.
pub trait MetricsSink {
    /// Records one event.
    ///
    /// # Errors
    /// The event cannot be stored.
    fn record(&mut self, event: &Event) -> Result<()>;
}

/// Records nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMetrics;

impl MetricsSink for NoMetrics {
    fn record(&mut self, _event: &Event) -> Result<()> {
        Ok(())
    }
}

/// Records into several sinks.
#[derive(Default)]
pub struct Tee(Vec<Box<dyn MetricsSink>>);

impl Tee {
    /// Sinks in the order in which they get each event.
    pub fn new(sinks: Vec<Box<dyn MetricsSink>>) -> Self {
        Self(sinks)
    }
}

impl MetricsSink for Tee {
    fn record(&mut self, event: &Event) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.record(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryMetrics;

    #[test]
    fn a_tee_gives_every_sink_every_event() {
        let (a, b) = (MemoryMetrics::default(), MemoryMetrics::default());
        let mut tee = Tee::new(vec![
            Box::new(a.clone()),
            Box::new(b.clone()),
            Box::new(NoMetrics),
        ]);
        let event = Event {
            kind: "train",
            step: 1,
            values: vec![("loss".into(), 0.5)],
        };
        tee.record(&event).unwrap();
        let expected = [event];
        assert_eq!(a.events(), expected);
        assert_eq!(b.events(), expected);
    }
}
