//! The forward pass of [`Skmdpa`].

use super::compute::Compute;
use super::finish::Finish;
use super::partition::{Partition, RowParts};
use super::skmdpa::{OP, Skmdpa, SkmdpaOperands, SkmdpaShape, Sources, Two};
use super::{exit, skmdpa_attend};
use crate::error::{EngineError, Result};

impl Skmdpa {
    /// New states of the receivers.
    ///
    /// # Shapes
    /// - y: `[batch, receivers, state]`
    ///
    /// # Errors
    /// An operand has another shape.
    pub fn forward(
        &mut self,
        compute: &Compute,
        operands: &SkmdpaOperands<'_>,
        y: &mut [f32],
    ) -> Result<()> {
        self.check(operands)?;
        let SkmdpaShape {
            batch,
            receivers,
            state,
            ..
        } = self.shape;
        EngineError::check_length(OP, "y", y.len(), &[batch, receivers, state])?;
        let [queries, keys, values] = &mut self.projected;
        match Sources::new(operands) {
            Sources::Own(all) => self.own.forward(compute, &all, [queries, keys, values]),
            Sources::Two(Two { receive, send, .. }) => {
                self.receive.forward(compute, &receive, [queries]);
                self.send.forward(compute, &send, [keys, values]);
            }
        }
        skmdpa_attend::forward(self, compute, operands);
        self.exit_forward(compute, operands, y);
        self.ready = true;
        Ok(())
    }

    fn exit_forward(&self, compute: &Compute, operands: &SkmdpaOperands<'_>, y: &mut [f32]) {
        let SkmdpaShape {
            state, residual, ..
        } = self.shape;
        let items = self.shape.receiving();
        let partition = Partition::new(items);
        let weight = self.exit.forward(compute, operands.exit.weight);
        let finish = Finish {
            weight: &weight,
            width: state,
            bias: operands.exit.bias,
            states: residual.then(|| operands.receivers.rows(state)),
            keep: operands.keep,
            items,
        };
        let parts = partition.rows(y, state);
        compute.each(
            partition.parts(),
            parts,
            |index, y: RowParts<'_>, scratch| {
                let (span, y) = (partition.span(index), y.into_slice());
                for block in span.blocks() {
                    let messages = &self.messages[block.within(0, self.shape.inner())];
                    let y = &mut y[block.within(span.first, state)];
                    exit::exit_rows(
                        compute,
                        (&finish, &operands.exit),
                        block,
                        messages,
                        y,
                        scratch,
                    );
                }
            },
        );
    }
}
