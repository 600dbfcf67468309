//! [`PublishedPart`]: how many examples a data set was published with, and what of it is not here.

/// Classes that a line names at most.
const NAMED: usize = 5;

/// A part of a data set as its authors published it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPart {
    /// `train`, `validation` or `test`. Without a published `validation`, what the data set holds out of training counts
    /// as `train`.
    pub name: &'static str,
    /// Examples.
    pub examples: usize,
    /// Examples of each class, in the order of the labels; empty where their numbers are not published.
    pub classes: Vec<usize>,
}

impl PublishedPart {
    /// A part whose classes have numbers of their own, or none.
    #[must_use]
    pub fn new(name: &'static str, examples: usize) -> Self {
        Self {
            name,
            examples,
            classes: Vec::new(),
        }
    }

    /// A part with as many examples of each class.
    #[must_use]
    pub fn balanced(name: &'static str, classes: usize, each: usize) -> Self {
        Self::by_class(name, vec![each; classes])
    }

    /// A part with these examples of each class.
    #[must_use]
    pub fn by_class(name: &'static str, classes: Vec<usize>) -> Self {
        Self {
            name,
            examples: classes.iter().sum(),
            classes,
        }
    }

    /// Says how a part with so many examples, and these classes, differs; `None` if it does not.
    pub(crate) fn difference(
        &self,
        examples: usize,
        classes: &[(String, usize)],
    ) -> Option<String> {
        let pairs = classes.iter().zip(&self.classes);
        let others: Vec<(&str, usize, usize)> = pairs
            .filter(|((_, found), published)| found != *published)
            .map(|((name, found), published)| (name.as_str(), *found, *published))
            .collect();
        if examples == self.examples && others.is_empty() {
            return None;
        }
        let (found, published) = (thousands(examples), thousands(self.examples));
        let mut text = format!("{}: {found} of {published} examples", self.name);
        let Some(&(_, found, published)) = others.first() else {
            return Some(text);
        };
        let is_same = |&(_, a, b): &(&str, usize, usize)| (a, b) == (found, published);
        if others.len() == self.classes.len() && others.iter().all(is_same) {
            text += &format!(
                "; {} of {} per class",
                thousands(found),
                thousands(published)
            );
            return Some(text);
        }
        let named: Vec<String> = others
            .iter()
            .take(NAMED)
            .map(|(name, a, b)| format!("{name} {} of {}", thousands(*a), thousands(*b)))
            .collect();
        text += &format!("; {}", named.join(", "));
        if others.len() > NAMED {
            text += &format!(", and {} more classes", others.len() - NAMED);
        }
        Some(text)
    }
}

/// A number with commas: 1,281,167.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_by_class() {
        let classes = |counts: &[usize]| -> Vec<(String, usize)> {
            let names = counts.iter().enumerate();
            names.map(|(i, &n)| (format!("c{i}"), n)).collect()
        };
        let part = PublishedPart::balanced("train", 7, 5000);
        assert_eq!(part.examples, 35_000);
        assert_eq!(part.difference(35_000, &classes(&[5000; 7])), None);
        let text = part.difference(350, &classes(&[50; 7])).unwrap();
        assert_eq!(text, "train: 350 of 35,000 examples; 50 of 5,000 per class");
        let text = part.difference(
            34_999,
            &classes(&[5000, 5000, 4999, 5000, 5000, 5000, 5000]),
        );
        assert_eq!(
            text.unwrap(),
            "train: 34,999 of 35,000 examples; c2 4,999 of 5,000"
        );
        let text = part
            .difference(1, &classes(&[1, 0, 0, 0, 0, 0, 0]))
            .unwrap();
        assert!(text.contains("c0 1 of 5,000, c1 0 of 5,000"), "{text}");
        assert!(text.ends_with("and 2 more classes"), "{text}");
        // As many examples, of other classes.
        assert!(
            part.difference(
                35_000,
                &classes(&[5001, 4999, 5000, 5000, 5000, 5000, 5000])
            )
            .is_some()
        );
        let part = PublishedPart::new("test", 1_000_000);
        assert_eq!(part.difference(1_000_000, &classes(&[1])), None);
        let text = part.difference(0, &[]).unwrap();
        assert_eq!(text, "test: 0 of 1,000,000 examples");
    }
}
