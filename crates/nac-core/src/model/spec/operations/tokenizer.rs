//! Tokenizers.

use super::work::{Work, convolution, special};
use crate::model::spec::{
    ConvNextBlockSpec, ConvNextSpec, ConvStageSpec, ConvStemSpec, InputsSpec, TokenizerSpec,
};

impl InputsSpec {
    /// Work for an example.
    pub(super) fn work(&self) -> Work {
        let each = self.inputs.iter().map(|input| {
            let join = input
                .join
                .as_ref()
                .and_then(|join| join.projection.as_ref());
            let tokens = input.tokenizer.tokens();
            let mut work = input.tokenizer.work();
            if input.shared_with.is_some() {
                work.weight_bytes = 0;
            }
            work + join.map_or(Work::default(), |linear| linear.work(tokens))
        });
        each.sum()
    }
}

impl TokenizerSpec {
    /// Work for an example; looking up embeddings is none.
    pub(super) fn work(&self) -> Work {
        match self {
            Self::ConvNext(spec) => spec.work(),
            Self::ConvStem(spec) => spec.work(),
            Self::Vectors(spec) => spec.linear.work(spec.items),
            Self::Patches(spec) => spec.linear.work(spec.tokens()),
            Self::ConvSequence(spec) => spec.work(),
            Self::Recurrent(spec) => spec.work(),
            Self::Pixels(_) | Self::Embedding(_) | Self::Ngrams(_) => Work::default(),
        }
    }
}

impl ConvStemSpec {
    fn work(&self) -> Work {
        let [height, width] = self.image;
        let mut before = height * width;
        let whiten = self.whitening.as_ref().map(|layer| {
            let (channels, values) = ((layer.input, layer.output), before * layer.output);
            convolution(before, layer.side, channels, layer.input * before) + special(values)
        });
        let mut work = whiten.unwrap_or_default();
        for stage in &self.stages {
            let [cells, pooled] =
                [stage.convolved, stage.map].map(|[height, width]| height * width);
            let channels = (stage.input, stage.output);
            work = work
                + convolution(cells, ConvStageSpec::SIDE, channels, stage.input * before)
                + special(pooled * stage.output);
            before = pooled;
        }
        work
    }
}

impl ConvNextSpec {
    fn work(&self) -> Work {
        let [height, width] = self.image;
        let mut before = height * width;
        let mut work = Work::default();
        for stage in &self.stages {
            let patch = &stage.patch;
            let cells = stage.map[0] * stage.map[1];
            let read = patch.input * before;
            work = work + convolution(cells, patch.side, (patch.input, patch.output), read);
            for block in &stage.blocks {
                let (dim, wide) = (block.channels, block.expand.output);
                work = work
                    + convolution(cells, ConvNextBlockSpec::SIDE, (1, dim), cells * dim)
                    + block.expand.work(cells)
                    + special(cells * wide)
                    + block.contract.work(cells);
            }
            before = cells;
        }
        work
    }
}
