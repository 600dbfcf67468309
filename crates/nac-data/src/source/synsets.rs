//! The 1,000 classes of ILSVRC2012, and which of them other sets use.

const TABLE: &str = include_str!("../../assets/imagenet-synsets.tsv");

/// A class of ImageNet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Synset {
    /// WordNet's identifier, `n01440764`.
    pub(super) id: &'static str,
    /// Its first word.
    pub(super) word: &'static str,
    in_sets: &'static str,
}

impl Synset {
    /// Identifier and word: words alone are not unique.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.id, self.word)
    }

    fn is_in(&self, set: char) -> bool {
        self.in_sets.contains(set)
    }
}

/// The classes of ImageNet, in order.
pub(super) fn imagenet() -> Vec<Synset> {
    let row = |line: &'static str| {
        let mut fields = line.split('\t');
        Some(Synset {
            id: fields.next()?,
            in_sets: fields.next()?,
            word: fields.next()?,
        })
    };
    TABLE.lines().filter_map(row).collect()
}

/// The 200 classes of Tiny-ImageNet, in the order of their identifiers.
pub(super) fn tiny_imagenet() -> Vec<Synset> {
    let all = imagenet().into_iter();
    all.filter(|synset| synset.is_in('t')).collect()
}

/// Places of the classes of ImageNet-R among `classes`: 200 of ImageNet's, 62 of Tiny-ImageNet's.
pub(super) fn in_imagenet_r(classes: &[Synset]) -> Vec<usize> {
    let places = classes.iter().enumerate();
    places
        .filter(|(_, synset)| synset.is_in('r'))
        .map(|(place, _)| place)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_have_their_published_sizes() {
        let all = imagenet();
        assert_eq!(all.len(), 1000);
        assert!(all.is_sorted_by(|a, b| a.id < b.id));
        let tiny = tiny_imagenet();
        assert_eq!(tiny.len(), 200);
        assert_eq!(in_imagenet_r(&all).len(), 200);
        assert_eq!(in_imagenet_r(&tiny).len(), 62);
        assert_eq!(all[0].name(), "n01440764 tench");
    }
}
