//! Image operations against values by PIL, torchvision and timm (`tests/fixtures/transforms/make.py`).
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use nac_data::transform::affine::{self, Interpolation};
use nac_data::transform::resized_crop::{Window, resized_crop};
use nac_data::transform::{Image, colour, intensity, mix};
use nac_data::{ResizeFilter, Targets, Values};
use serde_json::Value;

fn values() -> Value {
    serde_json::from_str(include_str!("fixtures/transforms/values.json")).unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap();
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

/// Applies the operation of a case; what may differ, in bytes.
fn apply(name: &str, arguments: &[f64], shape: [usize; 3], source: &[u8]) -> (Vec<u8>, u8) {
    let number = |at: usize| arguments[at];
    let whole = |at: usize| arguments[at] as usize;
    if name == "resized_crop" || name == "center_crop" {
        let (window, size, code) = if name == "resized_crop" {
            let window = Window {
                top: whole(0),
                left: whole(1),
                height: whole(2),
                width: whole(3),
            };
            (window, [whole(4), whole(5)], whole(6))
        } else {
            let (height, width) = (whole(0), whole(1));
            let (top, left) = ((shape[1] - height) / 2, (shape[2] - width) / 2);
            (
                Window {
                    top,
                    left,
                    height,
                    width,
                },
                [height, width],
                0,
            )
        };
        let filter = [ResizeFilter::Bilinear, ResizeFilter::Bicubic][code];
        let resized = resized_crop(shape, source, window, size, filter).unwrap();
        let Values::U8(pixels) = resized.values() else {
            panic!("type changed")
        };
        return (pixels.clone(), 0);
    }
    let mut pixels = source.to_vec();
    let image = &mut Image::new(shape[1], shape[2], &mut pixels).unwrap();
    let between = || [Interpolation::Bilinear, Interpolation::Bicubic][whole(1)];
    match name {
        "brightness" => colour::brightness(image, number(0) as f32),
        "contrast" => colour::contrast(image, number(0) as f32),
        "saturation" => colour::saturation(image, number(0) as f32),
        "sharpness" => colour::sharpness(image, number(0) as f32),
        "hue" => colour::hue(image, number(0) as f32),
        "auto_contrast" => intensity::auto_contrast(image),
        "equalize" => intensity::equalize(image),
        "invert" => intensity::invert(image),
        "solarize" => intensity::solarize(image, number(0) as u16),
        "solarize_add" => intensity::solarize_add(image, number(0) as u8),
        "posterize" => intensity::posterize(image, number(0) as u32),
        "rotate" => affine::rotate(image, number(0), between()),
        "shear_x" => affine::shear_x(image, number(0), between()),
        "shear_y" => affine::shear_y(image, number(0), between()),
        "translate_x" => affine::translate_x(image, number(0), between()),
        "translate_y" => affine::translate_y(image, number(0), between()),
        other => panic!("no operation `{other}`"),
    }
    // Rounding of a half between HSV and RGB.
    (pixels, u8::from(name == "hue"))
}

#[test]
fn operations_give_the_bytes_of_pil_torchvision_and_timm() {
    let values = values();
    let size = |name: &str| values[name].as_u64().unwrap() as usize;
    let shape = [3, size("height"), size("width")];
    let source = bytes(&values["source"]);
    let mut wrong = Vec::new();
    let cases = values["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 42);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let arguments = numbers(&case["arguments"]);
        let (found, tolerance) = apply(name, &arguments, shape, &source);
        let wanted = bytes(&case["pixels"]);
        assert_eq!(found.len(), wanted.len(), "{name} {arguments:?}");
        let differences = found.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b));
        let (most, count) =
            differences.fold((0, 0), |(most, n), d| (d.max(most), n + u32::from(d > 0)));
        if most > tolerance {
            wrong.push(format!(
                "{name} {arguments:?}: {count} values differ, by up to {most}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn mixup_gives_the_images_and_targets_of_timm() {
    let values = values();
    let (height, width) = (
        values["height"].as_u64().unwrap(),
        values["width"].as_u64().unwrap(),
    );
    let source = bytes(&values["source"]);
    let mut flipped = source.clone();
    flipped
        .chunks_exact_mut(width as usize)
        .for_each(<[u8]>::reverse);
    let mut batch = [source, flipped].concat();
    assert_eq!(batch.len() as u64, 2 * 3 * height * width);
    mix::mix_images(
        &mut batch,
        2,
        values["mixup"]["share"].as_f64().unwrap() as f32,
    );
    let wanted = values["mixup"]["pixels"].as_array().unwrap();
    assert!(batch == [bytes(&wanted[0]), bytes(&wanted[1])].concat());

    let case = &values["mixup_targets"];
    let labels: Vec<i64> = numbers(&case["labels"]).iter().map(|&x| x as i64).collect();
    let found = mix::mix_targets(&labels, 4, case["share"].as_f64().unwrap() as f32);
    let Targets::Soft {
        values: found,
        classes: 4,
    } = found
    else {
        panic!("{found:?}")
    };
    for (found, wanted) in found.iter().zip(numbers(&case["values"])) {
        assert!((f64::from(*found) - wanted).abs() < 1e-6);
    }
}
