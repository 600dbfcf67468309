//! What a model answers, in words.

use nac_core::model::OutputSpec;

/// A class and how sure the model is of it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "program", derive(serde::Serialize))]
pub struct ClassConfidence {
    /// Name of the class, or its number where classes have no names.
    pub class: String,
    /// Its softmax probability, 0 to 1.
    pub confidence: f32,
}

/// The answer for one example.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// All classes, the most likely first; equal ones in the order of the classes.
    Classes(Vec<ClassConfidence>),
    /// The values of a regression.
    Values(Vec<f32>),
}

impl Answer {
    /// From what a model gives for an example, `[width of the output]`.
    #[must_use]
    pub fn new(output: &OutputSpec, logits: &[f32]) -> Self {
        let Some(count) = output.class_count() else {
            return Self::Values(logits.to_vec());
        };
        let logits = logits.get(..count).unwrap_or(logits);
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: Vec<f64> = logits
            .iter()
            .map(|&logit| f64::from(logit - greatest).exp())
            .collect();
        let sum: f64 = exponentials.iter().sum();
        let mut classes: Vec<ClassConfidence> = exponentials
            .iter()
            .enumerate()
            .map(|(class, value)| ClassConfidence {
                class: output.class_name(class),
                confidence: (value / sum) as f32,
            })
            .collect();
        classes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        Self::Classes(classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_come_in_the_order_of_their_confidence() {
        let output = OutputSpec::named(["ant", "bee", "cat"]);
        let Answer::Classes(found) = Answer::new(&output, &[0.0, 2.0_f32.ln(), 1000.0]) else {
            panic!("no classes")
        };
        assert_eq!((&*found[0].class, found[0].confidence), ("cat", 1.0));
        let Answer::Classes(found) = Answer::new(&output, &[0.0, 2.0_f32.ln(), 0.0]) else {
            panic!("no classes")
        };
        let names: Vec<&str> = found.iter().map(|c| &*c.class).collect();
        assert_eq!(names, ["bee", "ant", "cat"]);
        assert!((found[0].confidence - 0.5).abs() < 1e-6);
        assert!((found[2].confidence - 0.25).abs() < 1e-6);
    }

    #[test]
    fn values_stay() {
        let answer = Answer::new(&OutputSpec::values(2), &[-1.5, 7.0]);
        assert_eq!(answer, Answer::Values(vec![-1.5, 7.0]));
    }
}
