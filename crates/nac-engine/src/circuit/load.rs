//! Loads a [`Plan`] from weights and a resolved circuit.

use super::generator::{Generated, Modules};
use super::head::Head;
use super::plan::Plan;
use super::read_in;
use super::read_out::{self, ReadOut};
use super::skmdpa::{Loading, ModuleView, PROCESSORS, Senders, SharedLinks};
use crate::backend::Backend;
use crate::blocks::{Blocks, Layout};
use crate::connectivity::Wiring;
use crate::error::Result;
use crate::weights::WeightScope;
use nac_core::model::spec::CircuitSpec;

const READERS: &str = "read-in";
const READ_OUT: &str = "read-out";

/// The circuit of `spec` with the modules of the weights.
pub(crate) fn circuit(
    scope: &WeightScope<'_, '_>,
    spec: &CircuitSpec,
    options: (&Backend, &Wiring),
) -> Result<Plan> {
    let modules = Generated::load(scope, &spec.generator)?;
    circuit_of(scope, spec, &modules, options)
}

/// The circuit of `spec` with these modules.
pub(crate) fn circuit_of(
    scope: &WeightScope<'_, '_>,
    spec: &CircuitSpec,
    modules: &Generated,
    (backend, wiring): (&Backend, &Wiring),
) -> Result<Plan> {
    let readers = modules.readers();
    let (token_store, read_in) = read_in::load(scope, &spec.read_in, readers, backend)?;
    let mut loading = Loading {
        backend: *backend,
        wiring,
        shared: SharedLinks::default(),
    };
    let processors = |code_layer: usize| ModuleView {
        name: PROCESSORS,
        signatures: modules.processors.signatures.view(),
        codes: modules.processors.codes_at(code_layer),
        fixed_states: None,
    };
    let senders = |attends_to_read_in: bool, code_layer: usize| Senders {
        read_in: attends_to_read_in.then(|| ModuleView {
            name: READERS,
            signatures: readers.signatures.view(),
            codes: readers.codes(),
            fixed_states: None,
        }),
        processors: processors(code_layer),
    };
    let steps = spec.propagations.iter().map(|step| {
        let senders = senders(step.attends_to_read_in, step.code_layer);
        let receivers = processors(step.code_layer);
        loading.propagator(scope, &step.propagator, receivers, senders)
    });
    let propagations = steps.collect::<Result<Vec<_>>>()?;
    let gathering = ModuleView {
        name: READ_OUT,
        signatures: modules.read_out.signatures.view(),
        codes: modules.read_out.codes(),
        fixed_states: Some(modules.read_out.states.view()),
    };
    let senders = senders(spec.read_out_attends_to_read_in, spec.read_out_code_layer);
    let layer = &spec.read_out.propagator;
    let layer = loading.propagator(scope, layer, gathering, senders)?;
    let projection = spec.read_out.projection.as_ref().map(|spec| {
        let codes = modules.read_out.codes();
        read_out::projection(scope, spec, codes, backend)
    });
    let state = Layout::plain(spec.read_in.ffn.norm.dim);
    let blocks = |of: &Modules| Blocks::from_items(of.states.view(), state);
    let own_states = (!spec.starts_from_read_in).then(|| blocks(&modules.processors));
    Ok(Plan {
        token_rows: Layout::plain(spec.read_in.token_dim()).rows(),
        token_store,
        readers: blocks(readers),
        reader_count: readers.count(),
        read_in,
        processors: own_states,
        processor_count: modules.processors.count(),
        propagations,
        read_out: ReadOut {
            layer,
            initial: blocks(&modules.read_out),
            count: modules.read_out.count(),
            projection: projection.transpose()?,
        },
        head: Head::load(scope, &spec.head, backend)?,
    })
}
