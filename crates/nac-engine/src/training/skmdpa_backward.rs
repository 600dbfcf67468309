//! The backward pass of [`Skmdpa`].

use super::attention::Links;
use super::compute::Compute;
use super::exit::ExitBackward;
use super::finish::branch_gradient;
use super::memory::{FinishMemory, ProjectMemory, Workspace};
use super::norm_project_backward::NormProjectGradients;
use super::operands::{NormGradient, no_forward};
use super::rows::AddTo;
use super::skmdpa::{OP, Skmdpa, SkmdpaGradients, SkmdpaOperands, Sources, Two};
use super::skmdpa_attend;
use crate::error::{EngineError, Result};

impl Skmdpa {
    /// Gradients, after [`Self::forward`] with the same operands.
    ///
    /// # Shapes
    /// - d_y: `[batch, receivers, state]`
    ///
    /// # Errors
    /// A slice has another shape, or there was no forward pass since the last backward pass.
    pub fn backward(
        &mut self,
        compute: &Compute,
        operands: &SkmdpaOperands<'_>,
        d_y: &[f32],
        gradients: &mut SkmdpaGradients<'_>,
    ) -> Result<()> {
        self.check(operands)?;
        let shape = self.shape;
        let expected = [shape.batch, shape.receivers, shape.state];
        EngineError::check_length(OP, "gradient of y", d_y.len(), &expected)?;
        self.check_gradients(operands, gradients)?;
        if !std::mem::take(&mut self.ready) {
            return Err(no_forward(OP));
        }
        compute.with_workspace(|workspace| {
            self.gradients(compute, operands, d_y, gradients, workspace);
        });
        Ok(())
    }

    fn gradients(
        &mut self,
        compute: &Compute,
        operands: &SkmdpaOperands<'_>,
        d_y: &[f32],
        gradients: &mut SkmdpaGradients<'_>,
        workspace: &mut Workspace,
    ) {
        let (shape, items) = (self.shape, self.shape.receiving());
        let FinishMemory {
            d_branch,
            scaled,
            d_scale,
        } = &mut workspace.finish;
        let attend = &mut workspace.attend;
        let d_messages = attend.d_messages.take(items.rows() * shape.inner());
        let exit = ExitBackward {
            weight: self.exit,
            projection: &operands.exit,
            items,
            messages: &self.messages,
            d_branch: branch_gradient(compute, operands.keep, d_y, d_branch),
        };
        exit.run(compute, &mut gradients.exit, d_messages, (scaled, d_scale));
        let d_links = gradients.links.as_deref_mut();
        let d_projected = skmdpa_attend::backward(
            self,
            compute,
            operands,
            (d_messages, d_links),
            (&mut attend.d_projected, &mut attend.sums, &mut attend.links),
        );
        let d_y = shape.residual.then_some(d_y);
        let memory = (&mut workspace.receivers, &mut workspace.senders);
        match Sources::new(operands) {
            Sources::Own(all) => {
                let mut gradients = NormProjectGradients {
                    states: gradients.receivers.as_deref_mut(),
                    norm: gradients.receiver_norm.reborrow(),
                    projections: [
                        &mut gradients.query,
                        &mut gradients.key,
                        &mut gradients.value,
                    ],
                };
                self.own
                    .backward(compute, &all, d_projected, d_y, &mut gradients, memory.0);
            }
            Sources::Two(two) => {
                self.two(compute, two, (d_projected, d_y), gradients, memory);
            }
        }
    }

    /// Gradients of receivers, and of senders with states or a norm of their own.
    fn two(
        &mut self,
        compute: &Compute,
        Two {
            receive,
            send,
            own: own_senders,
        }: Two<'_>,
        ([d_queries, d_keys, d_values], d_y): ([&[f32]; 3], Option<&[f32]>),
        gradients: &mut SkmdpaGradients<'_>,
        memory: (&mut ProjectMemory, &mut ProjectMemory),
    ) {
        let mut of_receivers = NormProjectGradients {
            states: gradients.receivers.as_deref_mut(),
            norm: gradients.receiver_norm.reborrow(),
            projections: [&mut gradients.query],
        };
        self.receive.backward(
            compute,
            &receive,
            [d_queries],
            d_y,
            &mut of_receivers,
            memory.0,
        );
        self.shared_norm.resize(2 * self.shape.sender_state, 0.0);
        let (gain, bias) = self.shared_norm.split_at_mut(self.shape.sender_state);
        let own_norm = gradients.sender_norm.as_mut().map(NormGradient::reborrow);
        let shares_norm = own_norm.is_none();
        let mut own_states = std::mem::take(&mut memory.0.own);
        let own = own_senders && gradients.receivers.is_some();
        let states = if own {
            Some(own_states.take(send.states.values.len()))
        } else {
            gradients.senders.as_deref_mut()
        };
        let mut of_senders = NormProjectGradients {
            states,
            norm: own_norm.unwrap_or(NormGradient { gain, bias }),
            projections: [&mut gradients.key, &mut gradients.value],
        };
        self.send.backward(
            compute,
            &send,
            [d_keys, d_values],
            None,
            &mut of_senders,
            memory.1,
        );
        let add = |x: &[f32], y: &mut [f32]| compute.arch().dispatch(AddTo { x, y });
        if let (true, Some(states)) = (own, gradients.receivers.as_deref_mut()) {
            add(own_states.take(states.len()), states);
        }
        memory.0.own = own_states;
        if shares_norm {
            let (gain, bias) = self.shared_norm.split_at(self.shape.sender_state);
            add(gain, gradients.receiver_norm.gain);
            add(bias, gradients.receiver_norm.bias);
        }
    }

    fn check_gradients(
        &self,
        operands: &SkmdpaOperands<'_>,
        gradients: &mut SkmdpaGradients<'_>,
    ) -> Result<()> {
        let length = |name, found: Option<usize>, expected: Option<usize>| {
            found.map_or(Ok(()), |found| {
                EngineError::check_length(OP, name, found, &[expected.unwrap_or(0)])
            })
        };
        let receivers = gradients.receivers.as_ref().map(|states| states.len());
        let expected = operands.receivers.values.len();
        length("gradient of the receivers", receivers, Some(expected))?;
        let senders = gradients.senders.as_ref().map(|states| states.len());
        let expected = operands.senders.map(|states| states.values.len());
        length("gradient of the senders", senders, expected)?;
        let links = gradients.links.as_ref().map(|links| links.len());
        length(
            "gradient of the links",
            links,
            Some(link_numbers(operands.links)),
        )?;
        gradients.receiver_norm.check(OP, self.shape.state)?;
        match (&gradients.sender_norm, operands.sender_norm) {
            (Some(norm), Some(_)) => norm.check(OP, self.shape.sender_state)?,
            (None, None) => {}
            (norm, operand) => {
                let name = "gradient of the senders' norm";
                let found = norm.as_ref().map_or(0, |norm| norm.gain.len());
                let expected = operand.map_or(0, |norm| norm.gain.len());
                EngineError::check_length(OP, name, found, &[expected])?;
            }
        }
        gradients.query.check(OP, &operands.query)?;
        gradients.key.check(OP, &operands.key)?;
        gradients.value.check(OP, &operands.value)?;
        gradients.exit.check(OP, &operands.exit)
    }
}

fn link_numbers(links: Links<'_>) -> usize {
    match links {
        Links::None => 0,
        Links::Shared(log) | Links::PerExample(log) | Links::Edges { log, .. } => log.len(),
    }
}
