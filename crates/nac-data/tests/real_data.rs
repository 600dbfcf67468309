//! Checks on the real files, if `NAC_TEST_DATA_DIR` names a folder that holds them:
//! `cifar-10-batches-bin/*.bin`, `listops/test_d20s.tsv` (Nangia & Bowman's test part),
//! `listops/lra_sample.tsv` (rows of the Long Range Arena's TSV) and `listops/lra_test.tok`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::io::Write;
use std::path::PathBuf;

use nac_data::source::listops::{Corpus, evaluate, parse, read_tsv, write_text};
use nac_data::source::nlvr2::Nlvr2Part;
use nac_data::source::{cifar10, listops, text};
use nac_data::{
    DataConfig, DataDirs, Dataset, InputKind, ModelNetForm, NlvrInput, NlvrPart, Normalization,
    Silent, Values, open,
};

/// The file or folder, or a notice that the test is skipped: on the terminal, and as a line in the file
/// `NAC_SKIP_LOG`, from which the test command makes its list.
fn real(relative: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NAC_TEST_DATA_DIR").filter(|root| !root.is_empty());
    let path = root.map(|root| PathBuf::from(root).join(relative));
    if let Some(path) = path.filter(|path| path.exists()) {
        return Some(path);
    }
    let text = format!("SKIPPED: {relative} (set NAC_TEST_DATA_DIR to a folder with it)");
    // Written to the handle itself: the test harness shows it even for tests that pass.
    let _ = writeln!(std::io::stderr(), "{text}");
    if let Some(log) = std::env::var_os("NAC_SKIP_LOG") {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log);
        writeln!(log.unwrap(), "{text}").unwrap();
    }
    None
}

#[test]
fn cifar10_is_the_published_one() {
    let Some(folder) = real(cifar10::FOLDER) else {
        return;
    };
    cifar10::verify(&folder, &Silent).unwrap();

    let cache = tempfile::tempdir().unwrap();
    let config = DataConfig {
        name: "cifar10".into(),
        ..DataConfig::default()
    };
    for data_dir in [folder.clone(), folder.parent().unwrap().to_path_buf()] {
        let dirs = DataDirs::new(Some(data_dir), None, cache.path().into());
        let splits = open(&config, &dirs, 0).unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (50_000, 10_000));
        check_cifar10(splits.train.as_ref());
        let classes = class_counts(splits.test.as_ref());
        assert_eq!(classes, [1_000; 10]);
    }
}

fn class_counts(dataset: &dyn Dataset) -> [usize; 10] {
    let mut counts = [0; 10];
    (0..dataset.len()).for_each(|i| counts[dataset.class(i).unwrap()] += 1);
    counts
}

/// Classes in equal number; channel means and deviations as declared.
fn check_cifar10(train: &dyn Dataset) {
    assert_eq!(class_counts(train), [5_000; 10]);
    let mut sums = [[0.0f64; 2]; 3];
    for index in 0..train.len() {
        let example = train.get(index).unwrap();
        let Values::U8(pixels) = example.inputs[0].1.values() else {
            panic!("not bytes")
        };
        for (channel, plane) in pixels.chunks(1024).enumerate() {
            let (mut sum, mut squares) = (0u64, 0u64);
            for &p in plane {
                sum += u64::from(p);
                squares += u64::from(p) * u64::from(p);
            }
            sums[channel][0] += sum as f64;
            sums[channel][1] += squares as f64;
        }
    }
    let Some(InputKind::Image {
        normalization: Some(Normalization { mean, std }),
        ..
    }) = train.info().inputs.get("image")
    else {
        panic!("not an image");
    };
    for (channel, [sum, squares]) in sums.into_iter().enumerate() {
        let n = 50_000.0 * 1024.0;
        let real_mean = sum / n / 255.0;
        let real_std = (squares / n / (255.0 * 255.0) - real_mean * real_mean).sqrt();
        assert!(
            (f64::from(mean[channel]) - real_mean).abs() < 1e-4,
            "{real_mean}"
        );
        assert!(
            (f64::from(std[channel]) - real_std).abs() < 1e-4,
            "{real_std}"
        );
    }
}

#[test]
fn ten_thousand_listops_expressions_have_the_answers_of_their_authors() {
    let Some(path) = real("listops/test_d20s.tsv") else {
        return;
    };
    // Every row is evaluated and compared while it is read.
    let corpus = read_tsv(&path, &Silent).unwrap();
    assert_eq!(corpus.len(), 10_000);
}

#[test]
fn rows_of_the_arena_come_back_letter_for_letter() {
    let Some(path) = real("listops/lra_sample.tsv") else {
        return;
    };
    let text = std::fs::read_to_string(&path).unwrap();
    let corpus = read_tsv(&path, &Silent).unwrap();
    assert!(!corpus.is_empty());
    for (line, (symbols, answer)) in text.lines().skip(1).zip(corpus.iter()) {
        let (source, target) = line.split_once('\t').unwrap();
        assert_eq!(write_text(symbols).unwrap(), source);
        assert_eq!(target, answer.to_string());
        assert_eq!(parse(source).unwrap(), symbols);
    }
}

#[test]
fn rows_made_by_the_arena_s_rules_look_like_ours() {
    let Some(path) = real("listops/lra_test.tok") else {
        return;
    };
    let bytes = std::fs::read(&path).unwrap();
    let mut theirs = Corpus::new();
    let mut rest = bytes.as_slice();
    while let [answer, low, high, tail @ ..] = rest {
        let (symbols, tail) = tail.split_at(usize::from(u16::from_le_bytes([*low, *high])));
        assert_eq!(evaluate(symbols).unwrap(), *answer);
        theirs.push(symbols, *answer);
        rest = tail;
    }
    assert_eq!(theirs.len(), 2_000);
    let config = listops::ListOpsConfig {
        train: 2_000,
        validation: 0,
        test: 1,
        ..Default::default()
    };
    let ours = listops::generate(&config, 0, &Silent).unwrap().train;
    let summary = |corpus: &Corpus| {
        let n = corpus.len() as f64;
        let mean = corpus.iter().map(|(s, _)| s.len() as f64).sum::<f64>() / n;
        let share = |symbol: u8| {
            let count = corpus
                .iter()
                .flat_map(|(s, _)| s)
                .filter(|&&s| s == symbol)
                .count();
            count as f64 / (mean * n)
        };
        let zero = corpus.iter().filter(|(_, answer)| *answer == 0).count() as f64 / n;
        let shortest = corpus.iter().map(|(s, _)| s.len()).min().unwrap() as f64;
        [
            mean / 1000.0,
            share(14) * 10.0,
            share(10) * 10.0,
            zero,
            shortest / 1000.0,
        ]
    };
    // The standard deviation of a length is about 370: of the difference of two means, 12.
    for (a, b) in summary(&ours).into_iter().zip(summary(&theirs)) {
        assert!(
            (a - b).abs() < 0.05,
            "{:?} {:?}",
            summary(&ours),
            summary(&theirs)
        );
    }
}

#[test]
fn the_voxels_of_modelnet10_are_read_as_cells_and_as_points() {
    let Some(folder) = real("modelnet10-voxels") else {
        return;
    };
    let dirs = DataDirs::new(folder.parent().map(Into::into), None, "cache".into());
    let open_as = |form| {
        let mut config = DataConfig {
            name: "modelnet10".into(),
            ..DataConfig::default()
        };
        config.modelnet.form = form;
        config.points.count = 256;
        open(&config, &dirs, 0).unwrap()
    };
    let cells = open_as(ModelNetForm::Voxels);
    // Seven of the 3,991 training shapes are empty and left out; the empty test shape stays.
    assert_eq!((cells.train.len(), cells.test.len()), (3_984, 908));
    let counts = class_counts(cells.test.as_ref());
    assert_eq!(counts, [50, 100, 100, 86, 86, 100, 86, 100, 100, 100]);
    let points = open_as(ModelNetForm::VoxelPoints);
    assert_eq!((points.train.len(), points.test.len()), (3_984, 908));
    let mut empty = Vec::new();
    for index in 0..908 {
        let grid = cells.test.get(index).unwrap();
        let Values::U8(grid) = grid.input("voxels").unwrap().values() else {
            panic!("not bytes")
        };
        if !grid.contains(&1) {
            empty.push(index);
        }
        let cloud = points.test.get(index).unwrap();
        let Values::F32(cloud) = cloud.input("points").unwrap().values() else {
            panic!("not floats")
        };
        assert_eq!(cloud.len(), 256 * 3);
        let norms = cloud
            .chunks(3)
            .map(|p| p.iter().map(|x| x * x).sum::<f32>().sqrt());
        let greatest = norms.fold(0.0, f32::max);
        let expected = if grid.contains(&1) { 1.0 } else { 0.0 };
        assert!((greatest - expected).abs() < 1e-5, "{index}: {greatest}");
    }
    assert_eq!(empty, [304]);
}

#[test]
fn imdb_is_the_published_one() {
    let Some(folder) = real("aclImdb") else {
        return;
    };
    text::imdb::source().verify(&folder, &Silent).unwrap();
    let mut config = DataConfig {
        name: "imdb".into(),
        ..DataConfig::default()
    };
    config.text.max_len = 400;
    let cache = tempfile::tempdir().unwrap();
    let dirs = DataDirs::new(folder.parent().map(Into::into), None, cache.path().into());
    let splits = open(&config, &dirs, 0).unwrap();
    for part in [&splits.train, &splits.test] {
        let classes: Vec<usize> = (0..part.len()).filter_map(|i| part.class(i)).collect();
        assert_eq!(classes.len(), 25_000);
        assert_eq!(classes.iter().sum::<usize>(), 12_500);
        // The order does not tell the class.
        let first = classes[..1000].iter().sum::<usize>();
        assert!((400..600).contains(&first), "{first}");
    }
    let mut texts = std::collections::HashSet::new();
    for index in 0..splits.train.len() {
        let example = splits.train.get(index).unwrap();
        let Some(Values::I64(ids)) = example.input("tokens").map(nac_data::Buffer::values) else {
            panic!("no symbols")
        };
        assert!(ids.len() <= 400 && ids.iter().all(|id| (1..=256).contains(id)));
        texts.insert(ids.clone());
    }
    // 24,904 are distinct in full length.
    assert!((24_800..=24_904).contains(&texts.len()), "{}", texts.len());
}

/// Share of the most frequent class, and of what the best rules of places of examples get right: the class of the one
/// before, and the most frequent class of each of several residues and of each of several stretches.
fn order_rules(dataset: &dyn Dataset) -> (f64, f64) {
    let classes: Vec<usize> = (0..dataset.len())
        .map(|i| dataset.class(i).unwrap())
        .collect();
    let n = classes.len() as f64;
    let most = |counts: &[usize; 2]| *counts.iter().max().unwrap() as f64;
    let mut total = [0; 2];
    classes.iter().for_each(|&class| total[class] += 1);
    let same = classes.windows(2).filter(|pair| pair[0] == pair[1]).count() as f64;
    let mut best = f64::max(same, n - 1.0 - same) / n;
    for parts in 2..=12 {
        let mut residues = vec![[0; 2]; parts];
        let mut stretches = vec![[0; 2]; parts];
        for (index, &class) in classes.iter().enumerate() {
            residues[index % parts][class] += 1;
            stretches[index * parts / classes.len()][class] += 1;
        }
        for counts in [residues, stretches] {
            best = best.max(counts.iter().map(most).sum::<f64>() / n);
        }
    }
    (most(&total) / n, best)
}

#[test]
fn nlvr_s_labels_do_not_follow_from_the_order_of_examples() {
    let Some(folder) = real("nlvr") else {
        return;
    };
    // As published, the second number of the identifier is nearly the label.
    let dev = std::fs::read_to_string(folder.join("dev/dev.json")).unwrap();
    let told = dev.lines().filter(|line| {
        let is_true = line.contains(r#""label":"true""#);
        let (_, rest) = line.split_once(r#""identifier":""#).unwrap();
        let suffix = rest.split_once('-').unwrap().1.as_bytes()[0];
        is_true == matches!(suffix, b'0' | b'1')
    });
    assert!(told.count() > 900);

    let mut config = DataConfig {
        name: "nlvr".into(),
        path: Some(folder),
        ..DataConfig::default()
    };
    let dirs = DataDirs::new(None, None, "cache".into());
    let splits = open(&config, &dirs, 0).unwrap();
    let validation = splits.validation.clone().unwrap();
    assert_eq!(splits.train.len() + validation.len(), 6_000);
    assert_eq!(splits.test.len(), 990 * 6);
    for part in [&splits.train, &splits.test] {
        let names: Vec<&str> = part.info().inputs.names().collect();
        assert_eq!(names, ["image", "sentence"]);
        let (majority, best) = order_rules(part.as_ref());
        assert!(best < majority + 0.01, "{best} {majority}");
    }
    let example = splits.test.get(0).unwrap();
    assert_eq!(example.input("image").unwrap().shape(), [3, 100, 400]);

    config.nlvr.input = NlvrInput::Objects;
    let error = open(&config, &dirs, 0).unwrap_err().to_string();
    assert!(error.contains("train.json: line 1"), "{error}");
    config.nlvr.train = vec![NlvrPart::Dev];
    let splits = open(&config, &dirs, 0).unwrap();
    assert_eq!(
        splits.train.len() + splits.validation.unwrap().len() + splits.test.len(),
        989 + 990
    );
    for index in 0..splits.test.len() {
        let example = splits.test.get(index).unwrap();
        let shape = example.input("objects").unwrap().shape();
        assert!((3..=20).contains(&shape[0]), "{shape:?}");
    }
}

/// Opens a data set whose files are in `NAC_TEST_DATA_DIR`, at 64×64.
fn open_images(name: &str, folder: &std::path::Path, crop: bool) -> nac_data::Splits {
    let cache = tempfile::tempdir().unwrap();
    let mut config = DataConfig {
        name: name.into(),
        skip_unreadable: true,
        ..DataConfig::default()
    };
    config.cub.crop_to_box = crop;
    let dirs = DataDirs::new(folder.parent().map(Into::into), None, cache.path().into());
    open(&config, &dirs, 0).unwrap()
}

#[test]
fn tiny_imagenet_s_files_are_read() {
    let Some(folder) = real("tiny-imagenet-200") else {
        return;
    };
    let splits = open_images("tiny-imagenet", &folder, false);
    for set in [&splits.train, &splits.test] {
        let mut classes: Vec<usize> = (0..set.len()).map(|i| set.class(i).unwrap()).collect();
        classes.sort_unstable();
        classes.dedup();
        assert_eq!(classes.len(), 200);
        for index in (0..set.len()).step_by(97) {
            let example = set.get(index).unwrap();
            assert_eq!(example.inputs[0].1.shape(), [3, 64, 64]);
            let class = example.target.class().unwrap();
            // In train, the file's name begins with its class.
            let file = set.file(index).unwrap().file_name().unwrap();
            let file = file.to_str().unwrap();
            let name = &set.info().output.class_name(class);
            assert!(
                file.starts_with("val") || file[..9] == name[..9],
                "{file} {name}"
            );
        }
    }
}

#[test]
fn renditions_of_tiny_imagenet_are_answered_with_62_classes() {
    let Some(folder) = real("tiny-imagenet-200") else {
        return;
    };
    // Goldfish and jellyfish are of both sets; the images are Tiny-ImageNet's own.
    let root = tempfile::tempdir().unwrap();
    for class in ["n01443537", "n01910747"] {
        let target = root.path().join("tiny-imagenet-r").join(class);
        std::fs::create_dir_all(&target).unwrap();
        let images = std::fs::read_dir(folder.join("train").join(class).join("images")).unwrap();
        let image = images.map(|entry| entry.unwrap()).next().unwrap();
        std::fs::copy(image.path(), target.join(image.file_name())).unwrap();
    }
    let dirs = DataDirs::new(
        Some(root.path().into()),
        folder.parent().map(Into::into),
        root.path().join("cache"),
    );
    let config = DataConfig {
        name: "tiny-imagenet-r".into(),
        ..DataConfig::default()
    };
    let splits = open(&config, &dirs, 0).unwrap();
    assert_eq!(splits.test.len(), 2);
    assert!(splits.train.len() > 1000 && splits.train.answers().is_none());
    let answers = splits.test.answers().unwrap();
    assert_eq!(answers.len(), 62);
    assert!((0..2).all(|i| answers.contains(&splits.test.class(i).unwrap())));
    assert_eq!(splits.test.info().output.class_count(), Some(200));

    std::fs::create_dir(root.path().join("tiny-imagenet-r/n01440764")).unwrap();
    let config = DataConfig {
        path: Some(root.path().join("tiny-imagenet-r")),
        ..config
    };
    let error = open(&config, &dirs, 0).unwrap_err().to_string();
    assert!(error.contains("n01440764"), "{error}");
}

#[test]
fn birds_have_their_official_split_and_boxes() {
    let Some(folder) = real("CUB_200_2011") else {
        return;
    };
    let whole = open_images("cub", &folder, false);
    let cropped = open_images("cub", &folder, true);
    let lines = std::fs::read_to_string(folder.join("train_test_split.txt")).unwrap();
    let train = lines.lines().filter(|line| line.ends_with(" 1")).count();
    assert_eq!(whole.train.len(), train);
    assert_eq!(whole.train.len() + whole.test.len(), lines.lines().count());
    let mut differ = 0;
    for index in 0..10 {
        let (a, b) = (
            whole.train.get(index).unwrap(),
            cropped.train.get(index).unwrap(),
        );
        assert_eq!(a.target, b.target);
        differ += usize::from(a.inputs != b.inputs);
        let class = a.target.class().unwrap();
        let name = &whole.train.info().output.class_name(class);
        let file = whole.train.file(index).unwrap();
        assert!(file.to_str().unwrap().contains(name.as_str()));
    }
    assert_eq!(differ, 10);
}

/// A safetensors file with one number for each photograph of some parts.
fn photograph_features(folder: &std::path::Path, parts: &[&str]) -> Vec<u8> {
    let mut names = std::collections::BTreeSet::new();
    for part in parts {
        let text = std::fs::read_to_string(folder.join(format!("{part}.json"))).unwrap();
        for line in text.lines() {
            let (_, rest) = line.split_once(r#""identifier": ""#).unwrap();
            let (pair, _) = rest.split_once('"').unwrap().0.rsplit_once('-').unwrap();
            names.extend([format!("{pair}-img0"), format!("{pair}-img1")]);
        }
    }
    let tensor = |(at, name): (usize, &String)| {
        let (begin, end) = (4 * at, 4 * at + 4);
        format!(
            r#""{name}": {{"dtype": "F32", "shape": [1, 1], "data_offsets": [{begin}, {end}]}}"#
        )
    };
    let tensors: Vec<String> = names.iter().enumerate().map(tensor).collect();
    let header = format!("{{{}}}", tensors.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + 4 * names.len(), 0);
    bytes
}

#[test]
fn nlvr2_s_sentences_are_read_with_features() {
    let Some(folder) = real("nlvr2") else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), photograph_features(&folder, &["dev", "test1"])).unwrap();
    let mut config = DataConfig {
        name: "nlvr2".into(),
        path: Some(folder),
        ..DataConfig::default()
    };
    config.nlvr2.train = vec![Nlvr2Part::Dev];
    config.nlvr2.features = Some(file.path().into());
    let splits = open(&config, &DataDirs::new(None, None, "cache".into()), 0).unwrap();
    let validation = splits.validation.clone().unwrap();
    assert_eq!(splits.train.len() + validation.len(), 6_982);
    assert_eq!(splits.test.len(), 6_967);
    let is_true = |part: &dyn Dataset| {
        (0..part.len())
            .filter(|&i| part.class(i) == Some(1))
            .count()
    };
    assert_eq!(
        is_true(splits.train.as_ref()) + is_true(validation.as_ref()),
        3_551
    );
    assert_eq!(is_true(splits.test.as_ref()), 3_558);
    let sets = |part: &dyn Dataset| -> std::collections::HashSet<u64> {
        (0..part.len()).map(|i| part.unit(i).unwrap()).collect()
    };
    assert!(sets(splits.train.as_ref()).is_disjoint(&sets(validation.as_ref())));
    let (majority, best) = order_rules(splits.test.as_ref());
    assert!(best < majority + 0.03, "{best} {majority}");
    let example = splits.test.get(17).unwrap();
    assert_eq!(example.input("left").unwrap().shape(), [1, 1]);
}

#[test]
fn what_is_missing_of_real_sets_is_said() {
    // Complete, a part of the published set, and voxels of which the empty training shapes are left out.
    for (name, folder, wanted) in [
        ("cifar10", "cifar-10-batches-bin", &[][..]),
        ("cub", "CUB_200_2011", &["train: ", "test: "][..]),
        ("tiny-imagenet", "tiny-imagenet-200", &["train: ", "test: "]),
        (
            "modelnet10",
            "modelnet10-voxels",
            &["train: 3,984 of 3,991 examples; "],
        ),
    ] {
        let Some(path) = real(folder) else { continue };
        let cache = tempfile::tempdir().unwrap();
        let mut config = DataConfig {
            name: name.into(),
            path: Some(path),
            ..DataConfig::default()
        };
        config.modelnet.form = ModelNetForm::Voxels;
        let dirs = DataDirs::new(None, None, cache.path().into());
        let report = nac_data::check(&config, &dirs, &Silent).unwrap();
        assert!(report.is_whole(), "{report}");
        assert_eq!(report.missing.len(), wanted.len(), "{:?}", report.missing);
        for (line, wanted) in report.missing.iter().zip(wanted) {
            assert!(line.starts_with(wanted), "{line}");
        }
    }
}
