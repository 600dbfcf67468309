//! The learning rate over the steps: linear warm-up, then a half cosine.
//!
//! For step `k` of `n`, counted from 0, with `w` steps of warm-up:
//! `from + (top − from)·k/w` while `k < w`, then `min + (top − min)·(1 + cos(π·(k − w)/(n − w)))/2`.

use std::f64::consts::PI;

use crate::config::OptimizerConfig;

/// Learning rate for each step of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    top: f64,
    min: f64,
    from: f64,
    warmup: u64,
    steps: u64,
}

impl Schedule {
    /// The schedule of a run of `steps` steps. A warm-up of `steps` or more never reaches the cosine.
    pub fn new(config: &OptimizerConfig, steps: u64) -> Self {
        Self {
            top: config.learning_rate,
            min: config.min_lr,
            from: config.warmup_from,
            warmup: config.warmup_steps,
            steps,
        }
    }

    /// Learning rate of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.from + (self.top - self.from) * step as f64 / self.warmup as f64;
        }
        let length = self.steps.saturating_sub(self.warmup).max(1);
        let progress = ((step - self.warmup) as f64 / length as f64).min(1.0);
        self.min + (self.top - self.min) * 0.5 * (1.0 + (PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_then_cosine() {
        let config = OptimizerConfig {
            learning_rate: 1.0,
            min_lr: 0.1,
            warmup_from: 0.2,
            warmup_steps: 4,
            ..Default::default()
        };
        let schedule = Schedule::new(&config, 24);
        let close = |step, expected: f64| {
            let found = schedule.at(step);
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
        assert!((4..23).all(|step| schedule.at(step + 1) < schedule.at(step)));
        let no_warmup = Schedule::new(
            &OptimizerConfig {
                warmup_steps: 0,
                ..config
            },
            10,
        );
        assert_eq!(no_warmup.at(0), 1.0);
    }
}
