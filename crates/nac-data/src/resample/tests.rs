//! The resampler against PIL and a plain reference.

use proptest::prelude::*;

use super::*;

fn resampled(
    pixels: &[u8],
    channels: usize,
    source: [usize; 2],
    grid: Grid,
    filter: Filter,
) -> Vec<u8> {
    let view = View::new(pixels, channels, source).unwrap();
    Resampler::new(source, grid, filter).run(view)
}

/// Black and white pixels, which cubic weights overshoot most.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut stream = crate::random::Stream::new(seed, "resample", &[]);
    (0..count).map(|_| 255 * stream.below(2) as u8).collect()
}

/// By the definition of the filter, in floating point, with bytes between the passes.
fn axis(values: &[u8], count: usize, filter: Filter) -> Vec<u8> {
    let scale = values.len() as f64 / count as f64;
    let stretch = scale.max(1.0);
    let shape = |x: f64| match filter {
        Filter::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
        Filter::Bilinear => (1.0 - x.abs()).max(0.0),
        Filter::Bicubic if x.abs() < 1.0 => 1.5 * x.abs().powi(3) - 2.5 * x * x + 1.0,
        Filter::Bicubic if x.abs() < 2.0 => {
            -0.5 * x.abs().powi(3) + 2.5 * x * x - 4.0 * x.abs() + 2.0
        }
        Filter::Bicubic => 0.0,
    };
    let pixel = |index: usize| {
        let center = (index as f64 + 0.5) * scale;
        let weight = |x: usize| shape((x as f64 + 0.5 - center) / stretch);
        let total: f64 = (0..values.len()).map(weight).sum();
        let sum: f64 = (0..values.len())
            .map(|x| weight(x) * f64::from(values[x]))
            .sum();
        (sum / total).round().clamp(0.0, 255.0) as u8
    };
    (0..count).map(pixel).collect()
}

#[test]
fn each_axis_is_the_filter_by_its_definition() {
    for filter in [Filter::Box, Filter::Bilinear, Filter::Bicubic] {
        for (from, to) in [(50, 17), (17, 50), (97, 41), (5, 3), (64, 1), (1, 9)] {
            let pixels: Vec<u8> = (0..from).map(|x| (x * x * 7 + x * 31) as u8).collect();
            let wanted = axis(&pixels, to, filter);
            for (source, size) in [([1, from], [1, to]), ([from, 1], [to, 1])] {
                let found = resampled(&pixels, 1, source, Grid::all(size), filter);
                let differences = found.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b));
                let most = differences.max().unwrap();
                assert!(most <= 1, "{filter:?} {from} to {to}: {most}");
            }
        }
    }
}

/// The middle of pixel 48 is on the border of boxes 19 and 20.
#[test]
fn pixels_on_the_border_of_two_boxes_count_as_in_pil() {
    let pixels: Vec<u8> = (0..97_usize).map(|x| (x * x * 7 + x * 31) as u8).collect();
    let found = resampled(&pixels, 1, [1, 97], Grid::all([1, 40]), Filter::Box);
    // By `Image.resize((40, 1), Image.BOX)`.
    let wanted = [
        19, 161, 128, 103, 203, 55, 244, 128, 97, 147, 120, 132, 67, 211, 187, 153, 116, 172, 139,
        67, 128, 68, 75, 163, 89, 96, 116, 116, 155, 117, 160, 126, 131, 115, 113, 192, 109, 107,
        199, 116,
    ];
    assert_eq!(found, wanted);
}

#[test]
fn the_axis_that_loses_more_than_twice_as_much_height_is_first() {
    let columns_first = |source, whole| {
        let grid = Grid::all(whole);
        Resampler::new(source, grid, Filter::Bicubic).columns_first
    };
    // Height, width.
    assert!(columns_first([90, 30], [50, 20]));
    assert!(columns_first([60, 60], [59, 80]));
    assert!(!columns_first([60, 60], [40, 50]));
    assert!(!columns_first([60, 60], [60, 80]));
    assert!(!columns_first([60, 60], [80, 90]));
}

#[test]
fn windows_stay_within_the_image() {
    let pixels: Vec<u8> = (0..60).collect();
    let view = View::new(&pixels, 3, [4, 5]).unwrap();
    let part = view.window([1, 2], [2, 3]).unwrap();
    assert_eq!(part.row(1), &pixels[36..45]);
    assert_eq!(part.window([1, 1], [1, 2]).unwrap().row(0), &pixels[39..45]);
    for (start, size) in [([0, 0], [0, 1]), ([4, 0], [1, 1]), ([0, 3], [1, 3])] {
        assert!(view.window(start, size).is_none());
    }
    assert!(view.window([1, 1], [usize::MAX, 1]).is_none());
    assert!(View::new(&pixels, 3, [5, 5]).is_none());
    assert!(View::new(&[], 3, [0, 5]).is_none());
    let other = Resampler::new([4, 4], Grid::all([2, 2]), Filter::Box);
    assert!(other.run(view).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A part has the values of the whole, and a channel those that it has alone.
    #[test]
    fn parts_and_planes_agree_with_the_whole(
        source in [1_usize..90, 1..90],
        whole in [1_usize..90, 1..90],
        places in [any::<prop::sample::Index>(), any::<prop::sample::Index>()],
        which in 0_usize..3,
        seed in any::<u64>(),
    ) {
        let filter = [Filter::Box, Filter::Bilinear, Filter::Bicubic][which];
        let pixels = noise(source[0] * source[1] * 3, seed);
        let all = resampled(&pixels, 3, source, Grid::all(whole), filter);
        prop_assert_eq!(all.len(), whole[0] * whole[1] * 3);

        let start = [0, 1].map(|a| places[a].index(whole[a]));
        let size = [0, 1].map(|a| whole[a] - start[a]);
        let part = resampled(&pixels, 3, source, Grid { whole, start, size }, filter);
        let cut = View::new(&all, 3, whole).unwrap().window(start, size).unwrap();
        prop_assert_eq!(part, cut.to_vec());

        let plane: Vec<u8> = pixels.iter().skip(1).step_by(3).copied().collect();
        let alone = resampled(&plane, 1, source, Grid::all(whole), filter);
        let green: Vec<u8> = all.iter().skip(1).step_by(3).copied().collect();
        prop_assert_eq!(alone, green);
    }
}
