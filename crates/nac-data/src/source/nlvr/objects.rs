//! Objects of a drawing as feature vectors.

use serde::Deserialize;

/// Features of an object: presence; left, top and size; shape (3); colour (3); box (3).
pub const OBJECT_DIM: usize = 13;
/// Most objects of a drawing: three boxes of up to eight.
pub const MAX_OBJECTS: usize = 24;
/// Boxes of a drawing.
const BOXES: usize = 3;
/// Width and height of a box in pixels.
const BOX_SIZE: f32 = 100.0;

/// An object as written in `structured_rep`.
#[derive(Debug, Deserialize)]
pub(super) struct Object {
    x_loc: f32,
    y_loc: f32,
    size: f32,
    #[serde(rename = "type")]
    shape: String,
    color: String,
}

/// Vectors of the objects of a drawing, one after another; one vector of zeros, whose presence is 0, if all boxes are
/// empty.
///
/// # Shapes
/// `[1..=24, OBJECT_DIM]`, row-major.
pub(super) fn vectors(boxes: &[Vec<Object>]) -> Result<Vec<f32>, String> {
    if boxes.len() != BOXES {
        return Err(format!("{} boxes, expected {BOXES}", boxes.len()));
    }
    let count: usize = boxes.iter().map(Vec::len).sum();
    if count > MAX_OBJECTS {
        return Err(format!("{count} objects, at most {MAX_OBJECTS} are known"));
    }
    let mut all = Vec::with_capacity(count.max(1) * OBJECT_DIM);
    for (place, objects) in boxes.iter().enumerate() {
        for object in objects {
            all.extend(vector(object, place)?);
        }
    }
    if count == 0 {
        all.resize(OBJECT_DIM, 0.0);
    }
    Ok(all)
}

/// Lengths are divided by half a box and centred: a box spans −1 to 1.
fn vector(object: &Object, place: usize) -> Result<impl Iterator<Item = f32>, String> {
    let lengths = [object.x_loc, object.y_loc, object.size];
    if let Some(length) = lengths.iter().find(|x| !(0.0..=BOX_SIZE).contains(*x)) {
        return Err(format!("position or size {length}, expected 0 to 100"));
    }
    let shape = match object.shape.to_ascii_lowercase().as_str() {
        "circle" => 0,
        "square" => 1,
        "triangle" => 2,
        other => return Err(format!("shape `{}`", shortened(other))),
    };
    let colour = match object.color.to_ascii_lowercase().as_str() {
        "black" => 0,
        "yellow" => 1,
        "#0099ff" | "blue" => 2,
        other => return Err(format!("colour `{}`", shortened(other))),
    };
    let one_hot = |chosen: usize| (0..3).map(move |i| f32::from(u8::from(i == chosen)));
    let lengths = lengths.map(|x| x / (BOX_SIZE / 2.0) - 1.0);
    let kinds = one_hot(shape).chain(one_hot(colour)).chain(one_hot(place));
    Ok([1.0].into_iter().chain(lengths).chain(kinds))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<f32>, String> {
        vectors(&serde_json::from_str::<Vec<Vec<Object>>>(text).unwrap())
    }

    #[test]
    fn objects_have_their_features() {
        let text = r##"[[], [{"x_loc": 0, "y_loc": 75, "size": 50, "type": "square", "color": "#0099ff"}], []]"##;
        let wanted = [
            1.0, -1.0, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0,
        ];
        assert_eq!(parsed(text).unwrap(), wanted);
        assert_eq!(parsed("[[], [], []]").unwrap(), [0.0; OBJECT_DIM]);
    }

    #[test]
    fn other_objects_are_refused() {
        let scene = |x: f32, shape: &str, colour: &str, count: usize| {
            let object = format!(
                r##"{{"x_loc": {x}, "y_loc": 1, "size": 10, "type": "{shape}", "color": "{colour}"}}"##
            );
            format!("[[{}], [], []]", vec![object; count].join(","))
        };
        assert!(parsed(&scene(1.0, "circle", "Black", MAX_OBJECTS)).is_ok());
        for (text, part) in [
            (scene(1.0, "circle", "Black", MAX_OBJECTS + 1), "25 objects"),
            (scene(-1.0, "circle", "Black", 1), "position"),
            (scene(1e30, "circle", "Black", 1), "position"),
            (scene(1.0, "star", "Black", 1), "shape `star`"),
            (scene(1.0, "circle", "red", 1), "colour `red`"),
            ("[[], []]".into(), "2 boxes"),
        ] {
            let error = parsed(&text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
