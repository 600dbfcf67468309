//! Six shapes on a white image.

use crate::random::Stream;

/// Height and width of an image.
pub(super) const SIZE: usize = 75;
/// A shape covers its centre and this many pixels on each side.
pub(super) const RADIUS: i32 = 5;
/// Middle row and column, where no centre is, so that every shape is on one side.
pub(super) const MIDDLE: i32 = (SIZE as i32 - 1) / 2;
/// Centres differ by this much in a row or a column at least: shapes neither overlap nor touch.
const APART: i32 = 2 * RADIUS + 2;
/// Shapes of an image, one of each colour.
pub(super) const OBJECTS: usize = 6;
/// Names of the colours, in the order of the shapes.
pub(super) const COLOURS: [&str; OBJECTS] = ["red", "green", "blue", "orange", "gray", "yellow"];
/// The colours.
pub(super) const RGB: [[u8; 3]; OBJECTS] = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [255, 156, 0],
    [128, 128, 128],
    [255, 255, 0],
];
/// Attempts to place a shape before all are placed anew.
const ATTEMPTS: usize = 100;

/// Form of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A square of 11×11 pixels.
    Rectangle,
    /// A disc of 11 pixels' diameter.
    Circle,
}

/// A shape in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// Column of the centre.
    pub(super) x: i32,
    /// Row of the centre.
    pub(super) y: i32,
    /// Form.
    pub(super) shape: Shape,
}

impl Object {
    /// Squared distance of the centres.
    pub(super) fn distance(&self, other: &Self) -> i32 {
        (self.x - other.x).pow(2) + (self.y - other.y).pow(2)
    }
}

/// The shapes of an image, in the order of [`COLOURS`].
pub(super) type Scene = [Object; OBJECTS];

/// Draws a scene in which "closest" and "furthest" have one answer for every shape.
pub(super) fn draw(stream: &mut Stream) -> Scene {
    loop {
        if let Some(scene) = place(stream).filter(is_clear) {
            return scene;
        }
    }
}

fn coordinate(stream: &mut Stream) -> i32 {
    let places = SIZE as u64 - 2 * RADIUS as u64 - 1;
    let place = stream.below(places) as i32 + RADIUS;
    place + i32::from(place >= MIDDLE)
}

fn place(stream: &mut Stream) -> Option<Scene> {
    let mut placed: Vec<Object> = Vec::with_capacity(OBJECTS);
    while placed.len() < OBJECTS {
        let free = (0..ATTEMPTS).find_map(|_| {
            let (x, y) = (coordinate(stream), coordinate(stream));
            let apart =
                |other: &Object| (other.x - x).abs() >= APART || (other.y - y).abs() >= APART;
            placed.iter().all(apart).then_some((x, y))
        });
        let (x, y) = free?;
        let shape = if stream.below(2) == 0 {
            Shape::Rectangle
        } else {
            Shape::Circle
        };
        placed.push(Object { x, y, shape });
    }
    placed.try_into().ok()
}

/// Whether no shape has two equally close or equally far neighbours of different form.
fn is_clear(scene: &Scene) -> bool {
    scene.iter().enumerate().all(|(from, object)| {
        let others = || scene.iter().enumerate().filter(move |(i, _)| *i != from);
        let distances = || others().map(|(_, other)| object.distance(other));
        let extremes = [distances().min(), distances().max()];
        extremes.into_iter().flatten().all(|extreme| {
            let mut there = others()
                .map(|(_, other)| other)
                .filter(|other| object.distance(other) == extreme);
            let first = there.next();
            there.all(|other| first.is_some_and(|first| first.shape == other.shape))
        })
    })
}

/// The image of a scene.
///
/// # Shapes
/// Bytes `[3, 75, 75]`, white where there is no shape.
pub(super) fn image(scene: &Scene) -> Vec<u8> {
    let mut pixels = vec![255; 3 * SIZE * SIZE];
    for (channel, plane) in pixels.chunks_mut(SIZE * SIZE).enumerate() {
        for (object, rgb) in scene.iter().zip(RGB) {
            let value = rgb.get(channel).copied().unwrap_or(255);
            for dy in -RADIUS..=RADIUS {
                let inside = match object.shape {
                    Shape::Rectangle => RADIUS,
                    Shape::Circle => half_chord(dy),
                };
                let row = (object.y + dy) as usize * SIZE;
                let (first, last) = ((object.x - inside) as usize, (object.x + inside) as usize);
                if let Some(line) = plane.get_mut(row + first..=row + last) {
                    line.fill(value);
                }
            }
        }
    }
    pixels
}

/// Pixels on each side of the middle column that a disc covers in a row: centres within a radius of 5.5.
fn half_chord(dy: i32) -> i32 {
    let squared = (2 * RADIUS + 1).pow(2) - 4 * dy.pow(2);
    (0..=RADIUS)
        .rev()
        .find(|dx| 4 * dx * dx <= squared)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_lie_inside_apart_and_off_the_middle() {
        for number in 0..60 {
            let scene = draw(&mut Stream::new(0, "scenes", &[number]));
            let pixels = image(&scene);
            let colour = |place: usize| [0, 1, 2].map(|c| pixels[c * SIZE * SIZE + place]);
            for (object, rgb) in scene.iter().zip(RGB) {
                assert!(object.x != MIDDLE && object.y != MIDDLE);
                let covered = (0..SIZE * SIZE).filter(|&i| colour(i) == rgb).count();
                // Every pixel of every shape is there, so nothing covers anything.
                let whole = if object.shape == Shape::Circle {
                    97
                } else {
                    121
                };
                assert_eq!(covered, whole);
            }
        }
    }

    #[test]
    fn equally_close_shapes_of_different_form_are_not_clear() {
        let object = |x, y, shape| Object { x, y, shape };
        let mut scene = [
            object(30, 30, Shape::Circle),
            object(44, 30, Shape::Circle),
            object(16, 30, Shape::Rectangle),
            object(60, 60, Shape::Circle),
            object(69, 5, Shape::Circle),
            object(5, 66, Shape::Circle),
        ];
        assert!(!is_clear(&scene));
        scene[2].x = 15;
        assert!(is_clear(&scene));
    }
}
