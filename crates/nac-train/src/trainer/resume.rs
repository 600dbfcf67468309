//! Saving a run, and going on with it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::state::Trainer;
use crate::checkpoint::Checkpoint;
use crate::config::settings_differ;
use crate::error::{Result, TrainError};
use crate::metrics::Event;

impl Trainer {
    /// Goes on from the last checkpoint, if there is one; whether there was.
    ///
    /// # Errors
    /// It cannot be read; it is from a run with another seed or other settings; or it does not fit the model
    /// (all missing, unexpected and mis-shaped names are listed).
    pub fn resume(&mut self) -> Result<bool> {
        let Some(checkpoint) = self.checkpoints.last()? else {
            self.renderer
                .note("no checkpoint to go on from: training starts at step 0");
            return Ok(false);
        };
        self.restore(&checkpoint)?;
        self.sink.record(&Event {
            kind: "resume",
            step: self.state.step,
            values: Vec::new(),
        })?;
        Ok(true)
    }

    /// Takes everything back from the last checkpoint as it is stored.
    ///
    /// # Errors
    /// There is none, or as [`resume`](Self::resume).
    pub fn reload(&mut self) -> Result<()> {
        // Rank 0 has written it.
        self.meet()?;
        let none = || TrainError::State("there is no checkpoint to read back".into());
        let checkpoint = self.checkpoints.last()?.ok_or_else(none)?;
        self.restore(&checkpoint)
    }

    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let state = &checkpoint.state;
        let mut differences = settings_differ(&checkpoint.settings, &self.options.settings);
        if state.seed != self.options.seed && differences.is_empty() {
            differences.push(format!("seed ({} → {})", state.seed, self.options.seed));
        }
        if !differences.is_empty() {
            let (source, differences) = (&checkpoint.source, differences.join(", "));
            return Err(TrainError::State(format!(
                "{source} is from a run with other settings; these differ: {differences}"
            )));
        }
        if state.optimizer != self.optimizer.name() {
            let (found, ours) = (&state.optimizer, self.optimizer.name());
            let source = &checkpoint.source;
            return Err(TrainError::State(format!(
                "{source} is from a run with optimizer {found}, this one has {ours}"
            )));
        }
        self.model
            .params_mut()
            .import(&checkpoint.source, &checkpoint.model)?;
        self.optimizer
            .restore(self.model.params(), &checkpoint.optimizer)?;
        self.micro_batch = 0;
        for term in &mut self.losses {
            let prefix = format!("{}.", term.name());
            let own = |(name, t): (&String, &tch::Tensor)| {
                Some((name.strip_prefix(&prefix)?.to_owned(), t.copy()))
            };
            term.restore(&checkpoint.losses.iter().filter_map(own).collect())?;
        }
        self.state = state.clone();
        self.earlier_seconds = state.wall_seconds;
        self.started = Instant::now();
        self.saved = Some(state.step);
        Ok(())
    }

    /// Saves a checkpoint of the present step, unless this step is saved already. Only rank 0 of several processes writes.
    ///
    /// # Errors
    /// It cannot be stored; earlier ones are still there.
    pub fn save(&mut self) -> Result<()> {
        if self.saved == Some(self.state.step) {
            return Ok(());
        }
        if self.group.rank() > 0 {
            self.saved = Some(self.state.step);
            return Ok(());
        }
        self.state.wall_seconds = self.wall_seconds();
        self.state.optimizer = self.optimizer.name().to_owned();
        let mut losses = BTreeMap::new();
        for term in &self.losses {
            losses.extend(
                term.state()
                    .into_iter()
                    .map(|(name, t)| (format!("{}.{name}", term.name()), t)),
            );
        }
        let checkpoint = Checkpoint {
            source: String::new(),
            state: self.state.clone(),
            data: Some(self.loader.dataset().info().clone()),
            settings: self.options.settings.clone(),
            model: self.model.params().export()?,
            optimizer: self.optimizer.state()?,
            losses,
        };
        self.checkpoints.save(&checkpoint)?;
        self.saved = Some(self.state.step);
        Ok(())
    }
}
