//! Link probabilities of one forward pass, so that layers whose kernels agree compute them once.
//!
//! Two kernels agree if their settings are equal and their bandwidths are one tensor, or equal numbers that are
//! not trained. Signatures are compared by memory: entries hold them, so that their memory is not reused.

use tch::Tensor;

use super::KernelConfig;

/// What a layer asks for.
pub(super) struct Request<'a> {
    pub(super) receivers: &'a Tensor,
    pub(super) senders: &'a Tensor,
    pub(super) config: &'a KernelConfig,
    pub(super) bandwidth: &'a Tensor,
    /// The bandwidth as a number, if it is not trained.
    pub(super) fixed_bandwidth: Option<f64>,
}

struct Entry {
    receivers: Tensor,
    senders: Tensor,
    config: KernelConfig,
    bandwidth: Tensor,
    fixed_bandwidth: Option<f64>,
    log_probability: Tensor,
    logit: Option<Tensor>,
    connected: Option<(Tensor, Option<Tensor>)>,
}

/// Link probabilities computed so far.
#[derive(Default)]
pub(crate) struct PassLinks {
    entries: Vec<Entry>,
}

impl PassLinks {
    /// Place of the entry that answers `request`, if there is one.
    pub(super) fn find(&self, request: &Request<'_>) -> Option<usize> {
        self.entries.iter().position(|entry| {
            let fixed =
                entry.fixed_bandwidth.is_some() && entry.fixed_bandwidth == request.fixed_bandwidth;
            same(&entry.receivers, request.receivers)
                && same(&entry.senders, request.senders)
                && entry.config == *request.config
                && (fixed || same(&entry.bandwidth, request.bandwidth))
        })
    }

    /// Adds the answer to `request` and gives its index.
    pub(super) fn add(&mut self, request: &Request<'_>, log_probability: &Tensor) -> usize {
        self.entries.push(Entry {
            receivers: request.receivers.shallow_clone(),
            senders: request.senders.shallow_clone(),
            config: request.config.clone(),
            bandwidth: request.bandwidth.shallow_clone(),
            fixed_bandwidth: request.fixed_bandwidth,
            log_probability: log_probability.shallow_clone(),
            logit: None,
            connected: None,
        });
        self.entries.len() - 1
    }

    /// Log probabilities at an index that [`find`](Self::find) or [`add`](Self::add) gave.
    pub(super) fn log_probability(&self, index: usize) -> Tensor {
        self.entries[index].log_probability.shallow_clone()
    }

    /// Logits at an index, if they were computed.
    pub(super) fn logit(&self, index: usize) -> Option<Tensor> {
        self.entries[index]
            .logit
            .as_ref()
            .map(Tensor::shallow_clone)
    }

    /// Links without empty rows and which rows were empty, at an index, if they were computed.
    pub(super) fn connected(&self, index: usize) -> Option<(Tensor, Option<Tensor>)> {
        let known = self.entries[index].connected.as_ref();
        known.map(|(links, some)| {
            let some = some.as_ref().map(Tensor::shallow_clone);
            (links.shallow_clone(), some)
        })
    }

    /// Keeps links without empty rows.
    pub(super) fn set_connected(&mut self, index: usize, (links, some): &(Tensor, Option<Tensor>)) {
        let some = some.as_ref().map(Tensor::shallow_clone);
        self.entries[index].connected = Some((links.shallow_clone(), some));
    }

    /// Keeps logits.
    pub(super) fn set_logit(&mut self, index: usize, logit: &Tensor) {
        self.entries[index].logit = Some(logit.shallow_clone());
    }
}

/// Whether two tensors are the same view of the same memory.
fn same(a: &Tensor, b: &Tensor) -> bool {
    a.data_ptr() == b.data_ptr() && a.size() == b.size() && a.stride() == b.stride()
}
