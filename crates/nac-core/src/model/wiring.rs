//! Which modules attend to which in a circuit.

use serde::{Deserialize, Serialize};

/// In which propagators processors attend to the read-in modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadInSends {
    /// In none.
    #[default]
    Never,
    /// In the first only.
    First,
    /// In all.
    Every,
}

/// Who talks to whom, and what propagators share.
///
/// Defaults are the paper's final configuration: read-in modules become the processors, processors talk among
/// themselves through unshared propagators, read-out modules attend to processors only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WiringConfig {
    /// Whether processors take over the states of the read-in modules; if not they have separate initial
    /// states. Default true. Reference: `use_input_states_as_mediator_states`.
    pub read_in_states_become_processors: bool,
    /// Whether there are read-in modules beside the processors; if not the processors read, with their own
    /// signatures and codes. Default true. Reference: `disable_input_latents`.
    pub separate_read_in_modules: bool,
    /// In which propagators processors attend to the read-in modules: `never`, `first` or `every`. Default `never`.
    /// Reference: not `disable_input_mediator_communication`, and in `every` if
    /// `enable_persistent_input_mediator_communication`.
    pub read_in_sends_to_processors: ReadInSends,
    /// Whether read-out modules attend to the read-in modules. Default false.
    /// Reference: `enable_input_output_communication`.
    pub read_in_sends_to_read_out: bool,
    /// Whether all propagators are one. Default false. Reference: `share_propagator_weights`.
    pub share_propagators: bool,
    /// Whether all propagators have one feed-forward block. Default false.
    /// Reference: `share_ffn_between_propagators`.
    pub share_propagator_ffn: bool,
    /// Whether processors have a code for each propagator. Default false.
    /// Reference: not `share_codes_between_iterations`.
    pub codes_per_propagator: bool,
    /// Accepts a circuit in which nothing leads from the read-in to the logits. Default false.
    /// One of the reference's configurations is such a circuit; it is useful for comparisons only.
    pub allow_disconnected: bool,
}

impl Default for WiringConfig {
    fn default() -> Self {
        Self {
            read_in_states_become_processors: true,
            separate_read_in_modules: true,
            read_in_sends_to_processors: ReadInSends::Never,
            read_in_sends_to_read_out: false,
            share_propagators: false,
            share_propagator_ffn: false,
            codes_per_propagator: false,
            allow_disconnected: false,
        }
    }
}
