//! Recompute nodes: backward passes written by hand where libtorch would keep too much for its own.
//!
//! A layer computes a result without recording a graph, gives the rest of the pass a detached leaf with that value,
//! and records on the tape what turns the gradient of the leaf into gradients of its operands, usually far less than a
//! graph would hold. Once the loss is known, [`Tape::backward`] walks the nodes in reverse: each runs when everything
//! after it has sent its gradient, and hands gradients to what comes before it, through libtorch's graph where there
//! is one. Gradients equal those of the plain graph up to rounding. (PyTorch users: custom `autograd.Function`s that
//! recompute, as `torch.utils.checkpoint` does for whole blocks.)
//!
//! Layers use a tape if the [`ForwardContext`](crate::context::ForwardContext) carries one; without it
//! everything goes through libtorch's own graph.
//!
//! ```
//! use nac_modules::tape::Tape;
//! use tch::{Kind, Tensor};
//!
//! let x = Tensor::from_slice(&[1.0_f64, 2.0]).set_requires_grad(true);
//! let mut tape = Tape::new();
//! // y = x², with dy/dx = 2x written out.
//! let value = tch::no_grad(|| x.square());
//! let saved = x.detach();
//! let y = tape.recompute_node(vec![x.shallow_clone()], vec![value], move |gradients| {
//!     Ok(vec![&gradients[0] * &saved * 2.0])
//! })?;
//! let loss = (&y[0] * 3.0).sum(Kind::Double);
//! let gradients = tape.backward(&loss, &[&x])?;
//! assert_eq!(Vec::<f64>::try_from(&gradients[0]).unwrap(), [6.0, 12.0]);
//! # Ok::<(), nac_modules::ModuleError>(())
//! ```

mod gradients;

use tch::Tensor;

use self::gradients::Gradients;
use crate::error::{ModuleError, Result};

/// From the gradients of the outputs to those of the inputs; an undefined tensor is no gradient.
type Backward = Box<dyn FnOnce(&[Tensor]) -> Result<Vec<Tensor>>>;

/// One step of the forward pass whose backward pass is written by hand.
struct Node {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    backward: Backward,
    /// Whether nobody else reads the gradients that it gives, so that others may be added in place.
    exclusive: bool,
}

/// The recompute nodes of one forward pass, in order.
#[derive(Default)]
pub struct Tape {
    nodes: Vec<Node>,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape")
            .field("nodes", &self.nodes.len())
            .finish()
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes leaves of `outputs`, which were computed from `inputs` without a graph and share memory with
    /// nothing else.
    ///
    /// `backward` gets the gradients of the outputs, zero where the loss does not depend on one, and gives those
    /// of the inputs, an undefined tensor for none; those of inputs that take no gradient are ignored. It is
    /// dropped unused if no input takes a gradient or the loss depends on no output. It must not change the
    /// gradients it gets in place: others may hold them.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn recompute_node(
        &mut self,
        inputs: Vec<Tensor>,
        outputs: Vec<Tensor>,
        backward: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>> + 'static,
    ) -> Result<Vec<Tensor>> {
        self.push(inputs, outputs, Box::new(backward), false)
    }

    /// As [`recompute_node`](Self::recompute_node), for a `backward` whose gradients share memory with nothing that is
    /// read later: other gradients are added to them in place.
    pub(crate) fn exclusive_node(
        &mut self,
        inputs: Vec<Tensor>,
        outputs: Vec<Tensor>,
        backward: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>> + 'static,
    ) -> Result<Vec<Tensor>> {
        self.push(inputs, outputs, Box::new(backward), true)
    }

    fn push(
        &mut self,
        inputs: Vec<Tensor>,
        outputs: Vec<Tensor>,
        backward: Backward,
        exclusive: bool,
    ) -> Result<Vec<Tensor>> {
        let leaves = outputs
            .iter()
            .map(Tensor::f_detach)
            .collect::<std::result::Result<Vec<_>, _>>()?;
        if !inputs.iter().any(Tensor::requires_grad) {
            return Ok(leaves);
        }
        let leaves: Vec<Tensor> = leaves
            .into_iter()
            .map(|leaf| leaf.set_requires_grad(true))
            .collect();
        self.nodes.push(Node {
            inputs,
            outputs: leaves.iter().map(Tensor::shallow_clone).collect(),
            backward,
            exclusive,
        });
        Ok(leaves)
    }

    /// A leaf with the value of `tensor`, so that a graph that many nodes depend on is walked once.
    ///
    /// A tensor that is a leaf already, or takes no gradient, is given back.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn detached_leaf(&mut self, tensor: &Tensor) -> Result<Tensor> {
        if !tensor.requires_grad() || tensor.f_is_leaf()? {
            return Ok(tensor.shallow_clone());
        }
        let value = tensor.f_detach()?.copy();
        let mut leaves =
            self.recompute_node(vec![tensor.shallow_clone()], vec![value], |gradients| {
                Ok(vec![gradients[0].shallow_clone()])
            })?;
        Ok(leaves.swap_remove(0))
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Gradients of `loss` with respect to `inputs`, which must be leaves; undefined where the loss does not
    /// depend on one. Empties the tape.
    ///
    /// # Shapes
    /// - loss: `[]`
    /// - output: as inputs
    ///
    /// # Errors
    /// An input is no leaf or takes no gradient, or libtorch fails.
    pub fn backward(&mut self, loss: &Tensor, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let mut nodes = std::mem::take(&mut self.nodes);
        let mut sums = Gradients::default();
        for input in inputs {
            sums.track(input)?;
        }
        for output in nodes.iter().flat_map(|node| &node.outputs) {
            sums.track(output)?;
        }
        if loss.requires_grad() {
            sums.spread(&[loss.shallow_clone()])?;
        }
        while let Some(node) = nodes.pop() {
            let found = node
                .outputs
                .iter()
                .map(|output| sums.take(output))
                .collect::<Result<Vec<_>>>()?;
            if found.iter().all(Option::is_none) {
                continue;
            }
            let gradients = found
                .into_iter()
                .zip(&node.outputs)
                .map(|(gradient, output)| match gradient {
                    Some(gradient) => Ok(gradient),
                    None => Ok(output.f_zeros_like()?.f_detach()?),
                })
                .collect::<Result<Vec<_>>>()?;
            let count = node.inputs.len();
            // Every temporary of the backward pass and everything the node saved is freed here.
            let gradients = (node.backward)(&gradients)?;
            if gradients.len() != count {
                return Err(ModuleError::Shape {
                    op: "Tape",
                    name: "gradients of a recompute node".into(),
                    expected: format!("one for each of {count} inputs"),
                    found: vec![i64::try_from(gradients.len()).unwrap_or(i64::MAX)],
                });
            }
            let mut roots = Vec::new();
            for (input, gradient) in node.inputs.iter().zip(gradients) {
                if !gradient.defined() || !input.requires_grad() {
                    continue;
                }
                if input.f_is_leaf()? {
                    sums.add(input, gradient, node.exclusive)?;
                } else {
                    // Its gradient is `gradient` if the root's own is one everywhere.
                    roots.push(tch::with_grad(|| input.f_mul(&gradient))?);
                }
            }
            if !roots.is_empty() {
                sums.spread(&roots)?;
            }
        }
        inputs
            .iter()
            .map(|input| Ok(sums.get(input)?.unwrap_or_else(Tensor::new)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
