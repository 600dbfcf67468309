//! Linear warm-up of the learning rate, then a half cosine.
//!
//! For step `k` of `n`, counted from 0, with `w` steps of warm-up:
//! `from + (top − from)·k/w` while `k < w`, then `min + (top − min)·(1 + cos(π·(k − w)/(n − w)))/2`.

use std::f64::consts::PI;

use super::schedule::Schedule;
use crate::config::OptimizerConfig;

/// Linear warm-up, then a half cosine. By default as [`OptimizerConfig`] by default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmupCosine {
    /// Greatest learning rate.
    pub top: f64,
    /// Learning rate at the end.
    pub min: f64,
    /// Learning rate of the first step, if there is a warm-up.
    pub from: f64,
    /// Steps of warm-up. With as many steps as the run or more, the cosine is never reached.
    pub warmup_steps: u64,
}

impl WarmupCosine {
    /// The schedule of some settings.
    pub fn new(config: &OptimizerConfig) -> Self {
        Self {
            top: config.learning_rate,
            min: config.min_lr,
            from: config.warmup_from,
            warmup_steps: config.warmup_steps,
        }
    }
}

impl Default for WarmupCosine {
    fn default() -> Self {
        Self::new(&OptimizerConfig::default())
    }
}

impl Schedule for WarmupCosine {
    fn learning_rate(&self, step: u64, steps: u64) -> f64 {
        if step < self.warmup_steps {
            return self.from + (self.top - self.from) * step as f64 / self.warmup_steps as f64;
        }
        let length = steps.saturating_sub(self.warmup_steps).max(1);
        let progress = ((step - self.warmup_steps) as f64 / length as f64).min(1.0);
        self.min + (self.top - self.min) * 0.5 * (1.0 + (PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduled::{ScheduledValue, ValueSchedule};

    #[test]
    fn warm_up_then_cosine() {
        let schedule = WarmupCosine {
            top: 1.0,
            min: 0.1,
            from: 0.2,
            warmup_steps: 4,
        };
        let close = |step, expected: f64| {
            let found = schedule.learning_rate(step, 24);
            assert!(
                (found - expected).abs() < 1e-12,
                "step {step}: {found}, expected {expected}"
            );
        };
        close(0, 0.2);
        close(1, 0.4);
        close(3, 0.8);
        close(4, 1.0);
        close(14, 0.55);
        close(24, 0.1);
        close(1000, 0.1);
        let falls = |step| schedule.learning_rate(step + 1, 24) < schedule.learning_rate(step, 24);
        assert!((4..23).all(falls));
        let no_warmup = WarmupCosine {
            warmup_steps: 0,
            ..schedule
        };
        assert_eq!(no_warmup.learning_rate(0, 10), 1.0);
    }

    #[test]
    fn numbers_are_schedules() {
        assert_eq!(0.5.learning_rate(7, 10), 0.5);
        let falling = ScheduledValue::Changing(ValueSchedule::Linear {
            start: 1.0,
            stop: 0.0,
        });
        assert_eq!(falling.learning_rate(5, 10), 0.5);
    }
}
