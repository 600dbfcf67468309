//! Counts against numbers worked out by hand.

use super::{Algorithm, Operations, table};
use crate::model::spec::{ModelSpec, Node};
use crate::model::{GeneratorKind, ModelFile, Preset};

fn spec(name: &str) -> ModelSpec {
    let file = ModelFile::from_toml(Preset::get(name).unwrap().text).unwrap();
    file.resolve().unwrap()
}

fn count(name: &str, algorithm: Algorithm) -> Operations {
    spec(name).operations(algorithm)
}

fn stage(count: &Operations, name: &str) -> u64 {
    let found = count.stages.iter().find(|stage| stage.name == name);
    let stage = found.unwrap_or_else(|| panic!("no stage {name}"));
    stage.per_example.flops + stage.per_call.flops
}

/// 640 modules with states and codes of 384, 784 tokens of 256, heads of 64, 8 propagators of 8 heads, hidden 1536.
#[test]
fn chonker_by_hand() {
    let reference = count("imagenet-chonker", Algorithm::Reference);
    // 56·56 positions: stem 3·4·4 → 96, depthwise 7·7, 96 → 384 → 96; 28·28 positions: 96·2·2 → 192.
    let stem = 2 * 3136 * (48 * 96 + 49 * 96 + 2 * 96 * 384) + 2 * 784 * 384 * 192;
    assert_eq!(stage(&reference, "tokenizer"), stem);
    // Keys and values of every token and module, scores and sums, query and exit.
    let pairs = 2 * (2 * 784 * 640 * 256 * 64) + 2 * (2 * 640 * 784 * 64);
    let rest = 2 * (2 * 640 * 384 * 64);
    assert_eq!(stage(&reference, "read-in attention"), pairs + rest);
    let ffn = 2 * 640 * 384 * 3072 + 2 * 640 * 1536 * 384;
    assert_eq!(stage(&reference, "read-in ffn"), ffn);
    assert_eq!(stage(&reference, "propagators ffn"), 8 * ffn);
    let qkv = 8 * 3 * 2 * 640 * 384 * 512;
    assert_eq!(stage(&reference, "propagators qkv"), qkv);
    assert_eq!(stage(&reference, "propagators exit"), qkv / 3);
    let attention = 8 * 2 * 2 * 640 * 640 * 512;
    assert_eq!(stage(&reference, "propagators attention"), attention);
    // A modulated layer of n inputs: 640 codes of 384 → n. Inputs of a propagator's layers, of the read-in's and of the
    // read-out's (the last with 64 modules, but for key and value).
    let inputs = 8 * (3 * 384 + 512 + 384 + 1536) + (384 + 2 * 256 + 64 + 384 + 1536) + 2 * 384;
    let modulation = 2 * 384 * (640 * inputs + 64 * (384 + 64 + 384 + 1536));
    assert_eq!(stage(&reference, "modulation"), modulation);
    let links = 8 * 2 * 640 * 640 * 64 + 2 * 64 * 640 * 64;
    assert_eq!(stage(&reference, "links"), links);
    let head = 2 * 64 * 384 + 2 * 64 * 384 + 2 * 384 * 1000;
    assert_eq!(stage(&reference, "head"), head);
}

fn giga(number: u64) -> f64 {
    (number as f64 / 1e8).round() / 10.0
}

/// A question of 12 words, embedded in 64; two layers of 4 heads of 16 and width 64; 40 modules with signatures of 32.
#[test]
fn what_a_text_changes_is_work_of_each_example() {
    let algorithm = Algorithm::Folded;
    let mut file = Preset::get("cpu-sort-of-clevr-conditional").unwrap().file;
    let circuit = |file: &mut ModelFile| {
        file.model.circuit.state_dim = 64;
        file.resolve().unwrap().operations(algorithm)
    };
    let conditional = circuit(&mut file);
    let ffn = 64 * 256 + 128 * 64;
    let layer = 12 * (64 * 64 + 64 * 128 + 64 * 64 + ffn) + 2 * 12 * 12 * 64;
    let read = 40 * (64 * 64 + 64 * 64 + ffn) + 12 * 64 * 128 + 2 * 40 * 12 * 64;
    let added = 40 * 64 * (32 + 64);
    let text = 2 * (12 * 64 * 64 + 2 * layer + read + added);
    assert_eq!(stage(&conditional, "generator"), text);
    assert_eq!(conditional.per_call(), Default::default());
    file.model.generator.kind = GeneratorKind::Free;
    file.model.unused_inputs = vec!["question".into()];
    let free = circuit(&mut file);
    let all = |operations: &Operations| (operations.per_example() + operations.per_call()).flops;
    assert_eq!(all(&conditional), all(&free) + text);
}

/// Totals measured on the authors' code: 85.6 for one image, 16.4 of them independent of it.
#[test]
fn chonker_in_total() {
    let reference = count("imagenet-chonker", Algorithm::Reference);
    assert_eq!(giga(reference.inference(1)), 85.6);
    assert_eq!(giga(reference.per_example().flops), 69.2);
    assert_eq!(giga(reference.per_call().flops), 16.4);
    let folded = count("imagenet-chonker", Algorithm::Folded);
    assert_eq!(giga(folded.inference(1)), 36.7);
    // Folding: scores and sums over tokens of 256 instead of keys and values of 64 for each pair.
    let pairs = 2 * (2 * 784 * 640 * 256 * 64) + 2 * (2 * 640 * 784 * 64);
    let tokens = 2 * (2 * 640 * 784 * 256) + 2 * 640 * 64 * 256;
    let queries = 2 * 640 * 384 * 64 + 2 * 64 * 384 * 64;
    assert_eq!(
        folded.per_example().flops,
        reference.per_example().flops - pairs + tokens - queries
    );
    assert_eq!(folded.inference(8), 8 * folded.inference(1));
    assert!(folded.training_step(2) < reference.training_step(2));
}

/// 320 latents of 384, 64 tokens of 256, 8 layers of 6 heads.
#[test]
fn perceiver_io_by_hand() {
    let reference = count("tiny-imagenet-perceiver-io", Algorithm::Reference);
    let ffn = 2 * 320 * 384 * 3072 + 2 * 320 * 1536 * 384;
    assert_eq!(stage(&reference, "layers ffn"), 8 * ffn);
    let qkv = 8 * 2 * 320 * 384 * 3 * 384;
    assert_eq!(stage(&reference, "layers qkv"), qkv);
    let read = 2 * 64 * 256 * 128 + 2 * 2 * 320 * 64 * 64 + 2 * (2 * 320 * 384 * 64) + ffn;
    assert_eq!(stage(&reference, "read"), read);
    assert_eq!(giga(reference.inference(1)), 14.6);
}

/// Weights that products read are those of the model, but for biases, norms, codes and signatures.
#[test]
fn weights_are_nearly_all_parameters() {
    for name in ["imagenet-chonker", "tiny-imagenet-perceiver-io"] {
        let count = count(name, Algorithm::Reference);
        let weights = (count.per_example() + count.per_call()).weight_bytes / 4;
        let parameters = spec(name).parameter_count() as u64;
        assert!(weights < parameters, "{name}");
        assert!(
            weights as f64 > 0.95 * parameters as f64,
            "{name}: {weights}"
        );
    }
}

#[test]
fn the_table_has_a_row_for_each_stage() {
    let name = "imagenet-chonker";
    let (theirs, ours) = (
        count(name, Algorithm::Reference),
        count(name, Algorithm::Folded),
    );
    let text = table(&theirs, &ours);
    assert_eq!(
        text.lines().filter(|l| l.starts_with("| ")).count(),
        2 + ours.stages.len()
    );
    assert!(
        text.contains("| **one example** | 85.593 | 36.655 |"),
        "{text}"
    );
    assert!(text.contains("| modulation | 16.002 | once |"), "{text}");
}

/// Read-in modules that send are senders like the others.
#[test]
fn wirings_change_the_number_of_senders() {
    let plain = spec("cpu-listops");
    let mut file = ModelFile::from_toml(Preset::get("cpu-listops").unwrap().text).unwrap();
    file.model.circuit.wiring.read_in_sends_to_processors = crate::model::ReadInSends::First;
    let sending = file.resolve().unwrap();
    let name = "propagators attention";
    let [plain, sending] = [plain, sending].map(|spec| {
        let operations = spec.operations(Algorithm::Folded);
        stage(&operations, name)
    });
    let layers = file.model.circuit.propagators as u64;
    assert_eq!(sending * layers, plain * (layers + 1));
}
