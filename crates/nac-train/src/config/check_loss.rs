//! Ranges of the settings below `[loss]` and `[signature_fit]`.

use nac_modules::generator::ModuleGroup;
use nac_modules::model::ModelKind;

use super::RunConfig;
use super::check::require;
use crate::error::{Result, TrainError};
use crate::loss::ModuleGroups;
use crate::scheduled::ScheduledValue;

/// Most modules that are compared in pairs: a matrix of them in float64 takes 2 GiB.
const MOST_PAIRED: usize = 1 << 14;

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
            self.check_modules("loss.signature_repulsion.modules", term.modules)?;
            self.check_pairs("loss.signature_repulsion", self.modules(term.modules))?;
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
        if let Some(term) = &self.loss.circuit_spread {
            self.check_modules("loss.circuit_spread.modules", term.modules)?;
            check_weight("loss.circuit_spread.weight", term.weight)?;
            let (name, positive) = ("loss.circuit_spread.hinge", term.hinge > 0.0);
            let fits = positive && term.hinge.is_finite();
            require(name, term.hinge, fits, "must be greater than 0")?;
        }
        if let Some(term) = &self.loss.signature_distribution {
            self.check_modules("loss.signature_distribution.modules", term.modules)?;
            check_weight("loss.signature_distribution.weight", term.weight)?;
            let modules = self.modules(term.modules);
            self.check_pairs("loss.signature_distribution", modules)?;
            require(
                "loss.signature_distribution.components",
                term.components,
                term.components > 0 && term.components <= modules * modules.saturating_sub(1) / 2,
                "must be at least 1, and at most the number of pairs of modules",
            )?;
        }
        Ok(())
    }

    /// Checks `[signature_fit]`.
    pub(super) fn check_signature_fit(&self) -> Result<()> {
        if self.model.kind != ModelKind::Nac {
            return Ok(());
        }
        for (group, fit) in self.signature_fit.iter() {
            let (name, graph) = (format!("signature_fit.{group}"), fit.graph.name());
            let Some(modules) = self.modules_of(group) else {
                let reason = "the circuit has no separate read-in modules (model.circuit.wiring)";
                return Err(TrainError::setting(&name, graph, reason));
            };
            self.check_pairs(&name, modules)?;
            fit.check(modules, self.model.circuit.signature_dim)
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
        self.check_modules("loss.graph_prior.modules", term.modules)?;
        let modules = self.modules(term.modules);
        self.check_pairs("loss.graph_prior", modules)?;
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
    fn check_modules(&self, name: &str, groups: ModuleGroups) -> Result<()> {
        let fits = !groups.contains(ModuleGroup::ReadIn)
            || self.model.circuit.separate_readers().is_some();
        require(
            name,
            "[\"read_in\", …]",
            fits || self.model.kind != ModelKind::Nac,
            "the circuit has no separate read-in modules (model.circuit.wiring)",
        )
    }

    /// Refuses more modules than a setting that compares all pairs of them can take: a matrix of them is made.
    fn check_pairs(&self, table: &str, modules: usize) -> Result<()> {
        if self.model.kind != ModelKind::Nac || modules <= MOST_PAIRED {
            return Ok(());
        }
        let circuit = &self.model.circuit;
        let mut sets = [
            ("model.circuit.read_in_modules", circuit.separate_readers()),
            (
                "model.circuit.read_out_modules",
                Some(circuit.read_out_modules),
            ),
            ("model.circuit.modules", Some(circuit.modules)),
        ];
        sets.sort_by_key(|(_, modules)| *modules);
        let [.., (name, largest)] = sets;
        let reason = format!("[{table}] compares all pairs of modules, of at most {MOST_PAIRED}");
        Err(TrainError::setting(
            name,
            largest.unwrap_or(modules),
            reason,
        ))
    }

    /// Number of modules in these sets.
    fn modules(&self, groups: ModuleGroups) -> usize {
        groups
            .iter()
            .map(|group| self.modules_of(group).unwrap_or(0))
            .fold(0, usize::saturating_add)
    }

    /// Number of modules in a set; none if the processors read the tokens themselves.
    fn modules_of(&self, group: ModuleGroup) -> Option<usize> {
        let circuit = &self.model.circuit;
        match group {
            ModuleGroup::ReadIn => circuit.separate_readers(),
            ModuleGroup::Processors => Some(circuit.modules),
            ModuleGroup::ReadOut => Some(circuit.read_out_modules),
        }
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
