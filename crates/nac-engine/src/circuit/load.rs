//! Loads a [`Plan`] from weights and settings.

use super::generator::{Generated, Modules};
use super::head::Head;
use super::plan::Plan;
use super::read_in::{self, Dims};
use super::read_out::{self, ReadOut};
use super::skmdpa::{Loading, ModuleView, PROCESSORS, Senders, SharedLinks};
use crate::backend::Backend;
use crate::blocks::{Blocks, Layout};
use crate::connectivity::Wiring;
use crate::error::Result;
use crate::weights::WeightScope;
use nac_core::model::CircuitConfig;

const READERS: &str = "read-in";
const READ_OUT: &str = "read-out";

/// A circuit on tokens of `token_dim`: tensors of `scope` (generator, read-in, propagators, read-out) and of
/// `head_scope`. `outputs`: width of what the read-out gives if it has a projection.
pub(crate) fn circuit(
    scope: &WeightScope<'_, '_>,
    head: impl FnOnce(usize) -> Result<Head>,
    (token_dim, outputs): (usize, usize),
    config: &CircuitConfig,
    (backend, wiring): (&Backend, &Wiring),
) -> Result<Plan> {
    config.check()?;
    let modules = Generated::load(scope, &config.generator())?;
    let who = &config.wiring;
    let dims = Dims {
        token: token_dim,
        state: config.state_dim,
        code: config.code_dim(),
    };
    let readers = modules.readers();
    let read_in_scope = scope.sub("read_in");
    let (read_in, mod_fc) = (&config.read_in, &config.mod_fc);
    let (token_store, read_in) =
        read_in::load(&read_in_scope, dims, read_in, mod_fc, readers, backend)?;
    let mut loading = Loading {
        state: dims.state,
        code: dims.code,
        mod_fc,
        backend: *backend,
        wiring,
        shared: SharedLinks::default(),
    };
    let reading = ModuleView {
        name: READERS,
        signatures: readers.signatures.view(),
        codes: readers.codes(),
        fixed_states: None,
    };
    let propagations = (0..config.propagators)
        .map(|layer| {
            let settings = config.propagator_at(layer);
            let name = format!("propagators.{layer}");
            if layer > 0 && who.share_propagators {
                scope.alias(&name, "propagators.0");
            } else if layer > 0 && who.share_propagator_ffn {
                scope.alias(&format!("{name}.ffn"), "propagators.0.ffn");
            }
            let scope = scope.sub(name);
            let processors = ModuleView {
                name: PROCESSORS,
                signatures: modules.processors.signatures.view(),
                codes: modules.processors.codes_at(layer),
                fixed_states: None,
            };
            let senders = Senders {
                read_in: who.read_in_sends_to_processors.then_some(reading),
                processors,
            };
            loading.propagator(&scope, settings, processors, senders)
        })
        .collect::<Result<Vec<_>>>()?;
    let sending = ModuleView {
        name: PROCESSORS,
        signatures: modules.processors.signatures.view(),
        codes: modules.processors.last_codes(),
        fixed_states: None,
    };
    let senders = Senders {
        read_in: who.read_in_sends_to_read_out.then_some(reading),
        processors: sending,
    };
    let read_out_modules = ModuleView {
        name: READ_OUT,
        signatures: modules.read_out.signatures.view(),
        codes: modules.read_out.codes(),
        fixed_states: Some(modules.read_out.states.view()),
    };
    let scope = scope.sub("read_out");
    let settings = config.read_out.propagator();
    let layer = loading.propagator(&scope, &settings, read_out_modules, senders)?;
    let state = Layout::plain(dims.state);
    let projection = config
        .read_out
        .use_head
        .then(|| {
            let codes = modules.read_out.codes();
            read_out::projection(
                &scope,
                (dims.state, outputs),
                &config.read_out,
                mod_fc,
                codes,
                backend,
            )
        })
        .transpose()?;
    let output_dim = if projection.is_some() {
        outputs
    } else {
        dims.state
    };
    let blocks = |of: &Modules| Blocks::from_items(of.states.view(), state);
    Ok(Plan {
        token_rows: Layout::plain(token_dim).rows(),
        token_store,
        readers: blocks(readers),
        reader_count: readers.count(),
        read_in,
        processors: (!who.read_in_states_become_processors).then(|| blocks(&modules.processors)),
        processor_count: modules.processors.count(),
        propagations,
        read_out: ReadOut {
            layer,
            initial: blocks(&modules.read_out),
            count: modules.read_out.count(),
            projection,
        },
        head: head(output_dim)?,
    })
}
