//! Questions about a scene and their answers.

use super::scene::{COLOURS, MIDDLE, OBJECTS, Object, Scene, Shape};
use crate::random::Stream;

/// Names of the answers, in the order of the classes.
pub(super) const ANSWERS: [&str; 10] = [
    "yes",
    "no",
    "rectangle",
    "circle",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
];
/// Questions of an image: each kind about two shapes.
pub(super) const PER_IMAGE: usize = 2 * Kind::ALL.len();

/// What is asked about the shape of a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its form.
    Shape,
    /// Whether it is in the left half.
    Left,
    /// Whether it is in the upper half.
    Top,
    /// The form of the one closest to it.
    Closest,
    /// The form of the one furthest from it.
    Furthest,
    /// How many have its form, itself included.
    Count,
}

impl Kind {
    /// All kinds: three about one shape, three about relations.
    pub(super) const ALL: [Self; 6] = [
        Self::Shape,
        Self::Left,
        Self::Top,
        Self::Closest,
        Self::Furthest,
        Self::Count,
    ];

    /// Name, for results by kind of question.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shape => "non-relational: shape",
            Self::Left => "non-relational: left",
            Self::Top => "non-relational: top",
            Self::Closest => "relational: closest",
            Self::Furthest => "relational: furthest",
            Self::Count => "relational: count",
        }
    }
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// What is asked.
    pub(super) kind: Kind,
    /// About which shape, below [`OBJECTS`].
    pub(super) colour: usize,
}

impl Question {
    /// Question `number` of an image, the rest of whose random numbers are in `stream`: each kind comes twice, about
    /// different shapes.
    pub(super) fn draw(number: usize, stream: &mut Stream) -> Self {
        let number = number % PER_IMAGE;
        let mut found = Self {
            kind: Kind::Shape,
            colour: 0,
        };
        for (position, kind) in Kind::ALL.into_iter().enumerate() {
            let first = stream.below(OBJECTS as u64) as usize;
            let second = first + 1 + stream.below(OBJECTS as u64 - 1) as usize;
            let colour = match number / Kind::ALL.len() {
                0 => first,
                _ => second % OBJECTS,
            };
            if position == number % Kind::ALL.len() {
                found = Self { kind, colour };
            }
        }
        found
    }

    /// The question in English.
    pub(super) fn text(self) -> String {
        let colour = COLOURS.get(self.colour).copied().unwrap_or_default();
        match self.kind {
            Kind::Shape => format!("what is the shape of the {colour} object?"),
            Kind::Left => format!("is the {colour} object on the left?"),
            Kind::Top => format!("is the {colour} object at the top?"),
            Kind::Closest => {
                format!("what is the shape of the object closest to the {colour} object?")
            }
            Kind::Furthest => {
                format!("what is the shape of the object furthest from the {colour} object?")
            }
            Kind::Count => format!("how many objects have the shape of the {colour} object?"),
        }
    }

    /// Class of the answer, an index into [`ANSWERS`].
    pub(super) fn answer(self, scene: &Scene) -> usize {
        let Some(object) = scene.get(self.colour) else {
            return 0;
        };
        let yes = |truth: bool| usize::from(!truth);
        let form = |object: &Object| 2 + usize::from(object.shape == Shape::Circle);
        let others = || scene.iter().filter(|other| *other != object);
        match self.kind {
            Kind::Shape => form(object),
            Kind::Left => yes(object.x < MIDDLE),
            Kind::Top => yes(object.y < MIDDLE),
            Kind::Closest => others()
                .min_by_key(|other| object.distance(other))
                .map_or(0, form),
            Kind::Furthest => others()
                .max_by_key(|other| object.distance(other))
                .map_or(0, form),
            Kind::Count => 3 + scene.iter().filter(|o| o.shape == object.shape).count(),
        }
    }

    /// Every question that can be asked.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let of_colour = |colour| Kind::ALL.map(|kind| Self { kind, colour });
        (0..OBJECTS).flat_map(of_colour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_each_kind_twice_about_different_shapes() {
        for image in 0..200 {
            let all: Vec<Question> = (0..PER_IMAGE)
                .map(|number| Question::draw(number, &mut Stream::new(0, "questions", &[image])))
                .collect();
            for (a, b) in all.iter().zip(&all[6..]) {
                assert!(a.kind == b.kind && a.colour != b.colour);
            }
            let kinds: Vec<Kind> = all[..6].iter().map(|question| question.kind).collect();
            assert_eq!(kinds, Kind::ALL);
        }
        assert_eq!(Question::all().count(), 36);
    }
}
