//! The named sets: which models, passes and engines are measured.

/// A named set of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum SetName {
    /// One image through two circuits, a minute
    Quick,
    /// Forward passes of three models at batch 1, 8 and 32, all engines, f32 and bf16
    Engine,
    /// Training steps on the CPU
    Training,
    /// Sampling sparse graphs of up to 50,000 modules, and propagators over edges and over pairs
    Sparse,
    /// Training steps in bfloat16 on a CUDA device
    Cuda,
}

impl SetName {
    /// Those that `all` runs, which need no GPU.
    pub(crate) const ALL: [Self; 3] = [Self::Engine, Self::Training, Self::Sparse];

    /// Whether it measures on a CUDA device.
    pub(crate) fn on_cuda(self) -> bool {
        self == Self::Cuda
    }
}

/// Memory allocator of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Allocator {
    /// glibc's default settings.
    Default,
    /// Thresholds raised, so that memory of a pass is kept for the next and page faults are not what is measured.
    Tuned,
}

impl Allocator {
    /// Variables of the environment.
    pub(crate) fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Default => &[],
            Self::Tuned => &[
                ("MALLOC_TOP_PAD_", "268435456"),
                ("MALLOC_MMAP_THRESHOLD_", "17179869184"),
                ("MALLOC_TRIM_THRESHOLD_", "17179869184"),
            ],
        }
    }
}

/// One way of doing a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Engine or program; ratios are to the first variant of a case with the same allocator.
    pub(crate) engine: &'static str,
    /// `f32`, `bf16` or `int8`.
    pub(crate) weights: &'static str,
    pub(crate) allocator: Allocator,
    /// Arguments of `nac-measure` for this variant only.
    pub(crate) arguments: Vec<String>,
}

/// One workload, measured with several engines, interleaved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    /// Model, pass and batch, or what else is done.
    pub(crate) name: String,
    /// Arguments of `nac-measure` for all variants.
    pub(crate) arguments: Vec<String>,
    pub(crate) variants: Vec<Variant>,
    /// Whether variants are engines that run a model, so that their logits can be compared.
    pub(crate) model: bool,
}

fn owned<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// A model, a pass and a batch.
fn case(model: &str, pass: &str, batch: usize, repeat: usize, variants: Vec<Variant>) -> Case {
    let batch = batch.to_string();
    let repeat = repeat.to_string();
    let arguments = [
        "--model", model, "--pass", pass, "--batch", &batch, "--repeat", &repeat,
    ];
    Case {
        name: format!("{model} {pass} {batch}"),
        arguments: owned(arguments),
        variants,
        model: true,
    }
}

/// Something of nac-core on a sparse graph, over each of some kinds of links if it is given any.
fn sparse(what: &'static str, modules: usize, over: &[&'static str]) -> Case {
    let variant = |engine, arguments| Variant {
        engine,
        weights: "f32",
        allocator: Allocator::Default,
        arguments,
    };
    let variants = match over {
        [] => vec![variant("core", Vec::new())],
        _ => over
            .iter()
            .map(|links| variant(links, owned(["--over", links])))
            .collect(),
    };
    Case {
        name: format!("{what} {modules} modules"),
        arguments: owned([what, "--modules", &modules.to_string()]),
        variants,
        model: false,
    }
}

fn variants(engines: &[(&'static str, &'static str)], allocators: &[Allocator]) -> Vec<Variant> {
    let of = |allocator: &Allocator| {
        let allocator = *allocator;
        engines.iter().map(move |&(engine, weights)| Variant {
            engine,
            weights,
            allocator,
            arguments: owned(["--engine", engine, "--weights", weights]),
        })
    };
    allocators.iter().flat_map(of).collect()
}

const BOTH: &[Allocator] = &[Allocator::Default, Allocator::Tuned];
const PLAIN: &[Allocator] = &[Allocator::Default];
const FORWARD: &[(&str, &str)] = &[
    ("naive", "f32"),
    ("torch", "f32"),
    ("core", "f32"),
    ("core", "bf16"),
    ("core", "int8"),
];
const TRAIN: &[(&str, &str)] = &[("naive", "f32"), ("torch", "f32")];
const TRAIN_BF16: &[(&str, &str)] = &[("naive", "bf16"), ("torch", "bf16")];

/// The cases of a set.
pub(crate) fn cases(set: SetName) -> Vec<Case> {
    match set {
        SetName::Quick => ["chonker", "tiny-nac"]
            .map(|model| case(model, "forward", 1, 5, variants(FORWARD, PLAIN)))
            .to_vec(),
        SetName::Engine => {
            let mut cases = vec![case("chonker", "forward", 1, 5, variants(FORWARD, BOTH))];
            for model in ["tiny-nac", "perceiver-io"] {
                cases.push(case(model, "forward", 1, 10, variants(FORWARD, BOTH)));
            }
            for batch in [8, 32] {
                for model in ["tiny-nac", "perceiver-io"] {
                    cases.push(case(model, "forward", batch, 3, variants(FORWARD, BOTH)));
                }
                cases.push(case(
                    "chonker",
                    "forward",
                    batch,
                    1,
                    variants(FORWARD, PLAIN),
                ));
            }
            cases
        }
        SetName::Training => [("chonker", 2), ("tiny-nac", 8), ("perceiver-io", 8)]
            .map(|(model, batch)| case(model, "train", batch, 2, variants(TRAIN, BOTH)))
            .to_vec(),
        SetName::Sparse => {
            let samples = [10_000, 20_000, 50_000].map(|modules| sparse("sample", modules, &[]));
            let propagators = [2_500, 5_000, 10_000]
                .map(|m| sparse("propagator", m, &["pairs", "edges", "nothing"]));
            let larger = [20_000, 40_000].map(|m| sparse("propagator", m, &["edges", "nothing"]));
            [samples.as_slice(), &propagators, &larger].concat()
        }
        SetName::Cuda => {
            let mut cases = Vec::new();
            for model in ["chonker", "tiny-nac"] {
                for batch in [8, 16, 32, 64, 128, 256] {
                    let mut case = case(model, "train", batch, 5, variants(TRAIN_BF16, PLAIN));
                    case.arguments
                        .extend(["--device", "cuda"].map(str::to_owned));
                    cases.push(case);
                }
            }
            cases
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_cases_and_every_model_case_a_baseline() {
        let sets = [SetName::ALL.as_slice(), &[SetName::Quick, SetName::Cuda]].concat();
        for set in sets {
            let cases = cases(set);
            assert!(!cases.is_empty(), "{set:?}");
            for case in cases.iter().filter(|case| case.model) {
                assert_eq!(case.variants[0].engine, "naive", "{}", case.name);
                assert!(case.variants.len() > 1, "{}", case.name);
            }
        }
    }

    #[test]
    fn batch_one_of_the_large_circuit_is_measured_with_both_allocators() {
        let cases = cases(SetName::Engine);
        let case = cases
            .iter()
            .find(|case| case.name == "chonker forward 1")
            .unwrap();
        for allocator in BOTH {
            let engines = case.variants.iter().filter(|v| v.allocator == *allocator);
            assert_eq!(engines.count(), FORWARD.len());
        }
    }
}
