//! Ranges of the settings below `[loss]` and `[signature_presets]`.

use nac_modules::model::ModelKind;

use super::RunConfig;
use super::check::require;
use crate::error::{Result, TrainError};
use crate::loss::Latents;
use crate::scheduled::ScheduledValue;

impl RunConfig {
    /// Checks `[loss]`.
    pub(super) fn check_loss(&self) -> Result<()> {
        let smoothing = self.loss.label_smoothing;
        require(
            "loss.label_smoothing",
            smoothing,
            (0.0..1.0).contains(&smoothing),
            "must lie in [0, 1)",
        )?;
        self.check_graph_prior()?;
        if let Some(term) = &self.loss.signature_repulsion {
            self.check_latents("loss.signature_repulsion.latents", term.latents)?;
            check_weight("loss.signature_repulsion.weight", term.weight)?;
            let hinge = term.hinge;
            require(
                "loss.signature_repulsion.hinge",
                hinge,
                hinge > 0.0 && hinge <= 2.0,
                "must lie in (0, 2], as cosine distances do",
            )?;
            if let Some(truncation) = term.truncation {
                require(
                    "loss.signature_repulsion.truncation",
                    truncation,
                    (0.0..=2.0).contains(&truncation),
                    "must lie in [0, 2], as cosine distances do",
                )?;
            }
        }
        if let Some(term) = &self.loss.signature_distribution {
            self.check_latents("loss.signature_distribution.latents", term.latents)?;
            check_weight("loss.signature_distribution.weight", term.weight)?;
            let modules = self.modules(term.latents);
            require(
                "loss.signature_distribution.components",
                term.components,
                term.components > 0 && term.components <= modules * modules.saturating_sub(1) / 2,
                "must be at least 1, and at most the number of pairs of modules",
            )?;
        }
        Ok(())
    }

    /// Checks `[signature_presets]`.
    pub(super) fn check_presets(&self) -> Result<()> {
        let circuit = &self.model.circuit;
        if self.model.kind != ModelKind::Nac {
            return Ok(());
        }
        for (set, preset) in self.signature_presets.iter() {
            let name = format!("signature_presets.{set}");
            let graph = preset.graph.name();
            let modules = match set {
                "input" => circuit.generator().read_in_modules,
                "mediator" => Some(circuit.modules),
                _ => Some(circuit.read_out_modules),
            };
            let Some(modules) = modules else {
                let reason = "the circuit has no read-in modules of its own (model.circuit.wiring)";
                return Err(TrainError::setting(&name, graph, reason));
            };
            preset
                .check(modules, circuit.signature_dim)
                .map_err(|error| TrainError::setting(&name, graph, error.to_string()))?;
        }
        Ok(())
    }

    fn check_graph_prior(&self) -> Result<()> {
        let Some(term) = &self.loss.graph_prior else {
            return Ok(());
        };
        check_weight("loss.graph_prior.weight", term.weight)?;
        let every = term.refresh_every;
        require(
            "loss.graph_prior.refresh_every",
            every,
            every > 0,
            "must be at least 1",
        )?;
        for (name, value) in [
            ("loss.graph_prior.clip", term.clip),
            (
                "loss.graph_prior.multiplicative_matching_noise",
                term.multiplicative_matching_noise,
            ),
        ] {
            let value = value.unwrap_or(0.0);
            let fits = value.is_finite() && value >= 0.0;
            require(name, value, fits, "must not be negative")?;
        }
        self.check_latents("loss.graph_prior.latents", term.latents)?;
        let modules = self.modules(term.latents);
        if let (ModelKind::Nac, Err(error)) =
            (self.model.kind, term.prior.link_probabilities(modules))
        {
            let value = format!("{} for {modules} modules", term.prior.build().name());
            return Err(TrainError::setting(
                "loss.graph_prior.prior",
                value,
                error.to_string(),
            ));
        }
        Ok(())
    }

    /// Refuses a set of modules that the circuit does not have.
    fn check_latents(&self, name: &str, latents: Latents) -> Result<()> {
        let fits = !latents.input || self.model.circuit.generator().read_in_modules.is_some();
        require(
            name,
            "[\"input\", …]",
            fits || self.model.kind != ModelKind::Nac,
            "the circuit has no read-in modules of its own (model.circuit.wiring)",
        )
    }

    /// Number of modules in these sets.
    fn modules(&self, latents: Latents) -> usize {
        let circuit = &self.model.circuit;
        let read_in = circuit.generator().read_in_modules.unwrap_or(0);
        let sets = [
            (latents.input, read_in),
            (latents.mediator, circuit.modules),
            (latents.output, circuit.read_out_modules),
        ];
        let chosen = sets.iter().filter(|(chosen, _)| *chosen);
        chosen.fold(0, |sum: usize, (_, modules)| sum.saturating_add(*modules))
    }
}

fn check_weight(name: &str, weight: ScheduledValue) -> Result<()> {
    require(
        name,
        weight,
        weight.is_valid_weight(),
        "must not be negative at any time",
    )
}
