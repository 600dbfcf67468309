//! From weights and settings to a [`Plan`].

use super::generator::{Generated, Modules};
use super::plan::{Plan, Propagation};
use super::read_in::{self, Dims};
use super::read_out::{self, ReadOut};
use super::skmdpa::{Loading, PROCESSORS, SharedLinks, Side};
use crate::attention::Senders;
use crate::blocks::{Blocks, Layout};
use crate::connectivity::Wiring;
use crate::error::{EngineError, Result};
use crate::head::Head;
use crate::layer::Tools;
use crate::weights::Scope;
use nac_core::model::CircuitConfig;

const READERS: &str = "read-in";
const READ_OUT: &str = "read-out";

/// A circuit on tokens of `token_dim`: tensors of `scope` (generator, read-in, propagators, read-out) and of
/// `head_scope`. `outputs`: width of what the read-out gives if it has a projection.
pub(crate) fn circuit(
    scope: &Scope<'_, '_>,
    head: impl FnOnce(usize) -> Result<Head>,
    (token_dim, outputs): (usize, usize),
    config: &CircuitConfig,
    (tools, wiring): (&Tools, &Wiring),
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
    let (token_side, read_in) =
        read_in::load(&read_in_scope, dims, read_in, mod_fc, readers, tools)?;
    let mut loading = Loading {
        state: dims.state,
        code: dims.code,
        mod_fc,
        tools: *tools,
        wiring,
        shared: SharedLinks::default(),
    };
    let reading = Side {
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
            let processors = Side {
                name: PROCESSORS,
                signatures: modules.processors.signatures.view(),
                codes: modules.processors.codes_at(layer),
                fixed_states: None,
            };
            let all = [reading, processors];
            let senders = &all[usize::from(!who.read_in_sends_to_processors)..];
            let (stored, step) = loading.propagator(&scope, settings, processors, senders)?;
            propagation(stored, step)
        })
        .collect::<Result<Vec<_>>>()?;
    let speaking = Side {
        name: PROCESSORS,
        signatures: modules.processors.signatures.view(),
        codes: modules.processors.last_codes(),
        fixed_states: None,
    };
    let all = [reading, speaking];
    let senders = &all[usize::from(!who.read_in_sends_to_read_out)..];
    let gathering = Side {
        name: READ_OUT,
        signatures: modules.read_out.signatures.view(),
        codes: modules.read_out.codes(),
        fixed_states: Some(modules.read_out.states.view()),
    };
    let scope = scope.sub("read_out");
    let settings = config.read_out.propagator();
    let (stored, step) = loading.propagator(&scope, &settings, gathering, senders)?;
    let layer = propagation(stored, step)?;
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
                tools,
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
        token_side,
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

/// The last set of senders is the processors; before it may come the read-in modules.
pub(crate) fn propagation(mut stored: Vec<Senders>, step: super::Step) -> Result<Propagation> {
    match (stored.pop(), stored.pop()) {
        (Some(senders), read_senders) => Ok(Propagation {
            read_senders,
            senders,
            step,
        }),
        (None, _) => Err(EngineError::Other("a layer without senders".into())),
    }
}
