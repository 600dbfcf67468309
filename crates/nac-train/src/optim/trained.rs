//! Which parameters are trained: patterns of their names. The others take no gradient and stay as they are, to the bit.

use nac_modules::params::ParamStore;

use crate::error::{Result, TrainError};

/// Name of the setting, for errors.
const SETTING: &str = "optimizer.trained";

/// Whether `name` matches `pattern`, in which `*` stands for any text, dots included, and every other character for itself.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    // The earliest place of each part leaves most for the ones after it.
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Lets the parameters of these patterns take gradients, and no others. Returns how many values are trained.
///
/// # Errors
/// [`TrainError::Setting`] if there is no pattern, or one is of no parameter.
pub fn set_trained(parameters: &ParamStore, patterns: &[String]) -> Result<usize> {
    let unmatched = patterns.iter().find(|pattern| {
        !parameters
            .parameters()
            .any(|(name, _)| matches(pattern, name))
    });
    if let Some(pattern) = unmatched {
        let reason = "no parameter of the model has such a name; `nac inspect` lists the boxes that names start with";
        return Err(TrainError::setting(SETTING, format!("{pattern:?}"), reason));
    }
    if patterns.is_empty() {
        let reason = "at least one pattern is needed; [\"*\"] is all parameters";
        return Err(TrainError::setting(SETTING, "[]", reason));
    }
    let mut values = 0;
    for (name, tensor) in parameters.parameters() {
        let trained = patterns.iter().any(|pattern| matches(pattern, name));
        // The flag belongs to the tensor that the layers hold.
        let _ = tensor.shallow_clone().set_requires_grad(trained);
        values += if trained { tensor.numel() } else { 0 };
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_modules::params::Init;
    use proptest::prelude::*;
    use tch::{Device, Kind};

    /// Whether a pattern matches, by trying every length of text for each star.
    fn slow(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|at| slow(rest, &name[at..])),
            Some((byte, rest)) => name.first() == Some(byte) && slow(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_by_trying_everything(pattern in "[ab.*]{0,8}", name in "[ab.]{0,10}") {
            let expected = slow(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(matches(&pattern, &name), expected);
        }
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name, expected) in [
            ("*", "a.b", true),
            ("to_logits.*", "to_logits.bias", true),
            ("*.codes_", "latent_graphs.0.output_latents.codes_", true),
            ("*.codes_", "codes_", false),
            ("a*b*c", "a.x.b.c", true),
            ("a*b*c", "a.c.b", false),
            ("*ab", "aab", true),
            ("latents", "latents.x", false),
            ("latents", "latents", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn only_the_named_take_gradients() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 1);
        let mut root = store.root();
        let held = root.parameter("a.weight", &[2, 3], Init::Normal { std: 1.0 });
        let held = held.unwrap();
        let _ = store
            .root()
            .parameter("b.weight", &[4], Init::Normal { std: 1.0 });
        let patterns = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(set_trained(&store, &patterns(&["b.*"])).unwrap(), 4);
        assert!(!held.requires_grad());
        assert_eq!(
            set_trained(&store, &patterns(&["a.*", "*.weight"])).unwrap(),
            10
        );
        assert!(held.requires_grad());
        for wrong in [vec![], patterns(&["*", "c.*"])] {
            let error = set_trained(&store, &wrong).unwrap_err().to_string();
            assert!(error.contains("optimizer.trained"), "{error}");
        }
    }
}
