//! Groups of two and three processes: this program starts itself once for each rank.

#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(
    clippy::print_stdout,
    clippy::disallowed_macros,
    reason = "a rank tells the test what it found"
)]

use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nac_dist::{DistError, Environment, Gloo, GlooOptions, Group, all_gather};
use tch::{Kind, Tensor};

const WORK: &str = "NAC_DIST_TEST_WORK";
const TIMEOUT: &str = "NAC_DIST_TEST_TIMEOUT_MS";

/// Starts `size` ranks that do `work`, each with its output in a pipe.
fn start(work: &str, size: usize, timeout: Duration) -> Vec<Child> {
    // Free again at once; nothing else asks for a port of a test in between.
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = port.local_addr().unwrap().port();
    let start = |rank: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "one_rank", "--ignored", "--nocapture"])
            .env("RUST_BACKTRACE", "0")
            .env(WORK, work)
            .env(TIMEOUT, timeout.as_millis().to_string())
            .env("RANK", rank.to_string())
            .env("WORLD_SIZE", size.to_string())
            .env("LOCAL_WORLD_SIZE", size.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    (0..size).map(start).collect()
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

/// What the ranks print; all of them succeed.
fn run(work: &str, size: usize) -> Vec<String> {
    let ends = start(work, size, Duration::from_secs(60));
    let ends = ends.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    });
    ends.collect()
}

/// One rank of another test.
#[test]
#[ignore = "started by the other tests, in processes of their own"]
fn one_rank() {
    let work = std::env::var(WORK).unwrap();
    let timeout = std::env::var(TIMEOUT).unwrap().parse().unwrap();
    let environment = Environment::discover().unwrap().unwrap();
    let options = GlooOptions {
        timeout: Duration::from_millis(timeout),
        ..GlooOptions::default()
    };
    let group = Gloo::join(&environment, &options).unwrap();
    match work.as_str() {
        "collectives" => collectives(&group),
        "endless" => endless(&group),
        "late" => late(&group),
        "speed" => speed(&group),
        other => panic!("no work called {other}"),
    }
}

fn collectives(group: &dyn Group) {
    let (rank, size) = (group.rank(), group.size());
    let values = |rank: usize| -> Vec<f32> {
        let value = |i: usize| ((i * 37 + rank * 101) % 1000) as f32 / 31.0 - 16.0;
        (0..1001).map(value).collect()
    };
    let all: Vec<Vec<f32>> = (0..size).map(values).collect();
    let column = |i: usize| all.iter().map(move |row| row[i]);

    let mut tensor = Tensor::from_slice(&all[rank]);
    group.all_reduce(&mut tensor).unwrap();
    let sums = Vec::<f32>::try_from(&tensor).unwrap();
    for (i, sum) in sums.iter().enumerate() {
        assert!((sum - column(i).sum::<f32>()).abs() < 1e-4);
    }

    let mut tensor = Tensor::from_slice(&all[rank]);
    group.all_reduce_bf16(&mut tensor).unwrap();
    for (i, sum) in Vec::<f32>::try_from(&tensor).unwrap().iter().enumerate() {
        let magnitude: f32 = column(i).map(f32::abs).sum();
        let error = (sum - column(i).sum::<f32>()).abs();
        assert!(error <= magnitude / 127.0, "{i}: {error} of {magnitude}");
    }
    // All ranks have the same bits.
    let bytes: Vec<u8> = Vec::<f32>::try_from(&tensor)
        .unwrap()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let gathered = all_gather(group, &bytes).unwrap();
    assert!(gathered.len() == size && gathered.iter().all(|other| *other == bytes));

    // More than one piece.
    let count = (1 << 22) + 12_345;
    let value = |i: i64| (i % 251 - 125) as f32;
    let values: Vec<f32> = (0..count).map(value).collect();
    let mut large = Tensor::from_slice(&values);
    group.all_reduce_bf16(&mut large).unwrap();
    let exact = Tensor::from_slice(&values) * size as f64;
    let error = (large - &exact).abs() - exact.abs() / 127.0;
    assert!(error.max().double_value(&[]) <= 0.0);

    // Each rank gives another length, some longer than the first round takes.
    let gathered = all_gather(group, &vec![7; 5000 * rank]).unwrap();
    let lengths: Vec<usize> = gathered.iter().map(Vec::len).collect();
    assert_eq!(
        lengths,
        (0..size).map(|rank| 5000 * rank).collect::<Vec<_>>()
    );
    let gathered = all_gather(group, &vec![rank as u8; 3 * rank]).unwrap();
    for (other, bytes) in gathered.iter().enumerate() {
        assert_eq!(*bytes, vec![other as u8; 3 * other]);
    }

    let mut tensor = Tensor::from_slice(&[rank as f64]);
    group.broadcast(&mut tensor, size - 1).unwrap();
    assert_eq!(tensor.double_value(&[0]), (size - 1) as f64);
    let wrong = group.broadcast(&mut tensor, size).unwrap_err();
    assert!(wrong.to_string().contains("no such rank"), "{wrong}");
    let mut across = Tensor::zeros([2, 3], (Kind::Float, tch::Device::Cpu)).transpose(0, 1);
    assert!(matches!(
        group.all_reduce(&mut across),
        Err(DistError::Tensor { .. })
    ));
    group.barrier(Duration::from_secs(30)).unwrap();
}

/// Sums until another rank is gone, and says which.
fn endless(group: &dyn Group) {
    println!("ready");
    let mut tensor = Tensor::zeros([1000], (Kind::Float, tch::Device::Cpu));
    let lost = loop {
        if let Err(error) = group.all_reduce(&mut tensor) {
            break error;
        }
    };
    println!("error: {lost}");
    // The next operation fails too, at once.
    assert!(group.all_reduce(&mut tensor).is_err());
}

/// The last rank does not come to the barrier in time.
fn late(group: &dyn Group) {
    if group.rank() + 1 == group.size() {
        std::thread::sleep(Duration::from_secs(4));
        return;
    }
    let error = group.barrier(Duration::from_millis(500)).unwrap_err();
    println!("error: {error}");
}

/// The gradients of CHONKER: 38.7 million.
fn speed(group: &dyn Group) {
    tch::set_num_threads(1);
    let mut tensor = Tensor::ones([38_700_000], (Kind::Float, tch::Device::Cpu));
    for bf16 in [false, true] {
        let mut best = f64::INFINITY;
        for _ in 0..7 {
            let _ = tensor.fill_(1.0);
            group.barrier(Duration::from_secs(60)).unwrap();
            let started = Instant::now();
            match bf16 {
                false => group.all_reduce(&mut tensor).unwrap(),
                true => group.all_reduce_bf16(&mut tensor).unwrap(),
            }
            best = best.min(started.elapsed().as_secs_f64());
        }
        println!("bf16 {bf16}: {best:.3} s");
    }
}

#[test]
fn collectives_of_two_and_three() {
    run("collectives", 2);
    run("collectives", 3);
}

#[test]
#[ignore = "a measurement: prints seconds"]
fn speed_on_loopback() {
    for output in run("speed", 2) {
        println!("{output}");
    }
}

/// Kills or stops the last rank once it works; what the others print, and after how long.
fn lose_the_last(size: usize, timeout: Duration, stop: bool) -> (Vec<String>, Duration) {
    use std::io::{BufRead as _, BufReader};
    let mut children = start("endless", size, timeout);
    for child in &mut children {
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(
            lines
                .map_while(|l| l.ok())
                .any(|line| line.ends_with("ready"))
        );
    }
    std::thread::sleep(Duration::from_millis(200));
    let mut last = children.pop().unwrap();
    let started = Instant::now();
    if stop {
        let id = rustix::process::Pid::from_child(&last);
        rustix::process::kill_process(id, rustix::process::Signal::STOP).unwrap();
    } else {
        last.kill().unwrap();
    }
    let mut outputs = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        outputs.push(text(&output));
    }
    let took = started.elapsed();
    last.kill().unwrap();
    last.wait().unwrap();
    (outputs, took)
}

#[test]
fn a_killed_rank_is_named_by_every_other() {
    for size in [2, 3] {
        let (outputs, took) = lose_the_last(size, Duration::from_secs(300), false);
        for (rank, output) in outputs.iter().enumerate() {
            let expected = format!("error: rank {rank} lost rank {} in all-reduce: ", size - 1);
            assert!(output.contains(&expected), "{output}");
        }
        // Far from the timeout.
        assert!(took < Duration::from_secs(150), "{took:?}");
    }
}

#[test]
fn a_hung_rank_is_named_after_the_timeout() {
    for size in [2, 3] {
        let timeout = Duration::from_secs(3);
        let (outputs, took) = lose_the_last(size, timeout, true);
        for (rank, output) in outputs.iter().enumerate() {
            let expected = format!("error: rank {rank} lost rank {} in all-reduce: ", size - 1);
            assert!(output.contains(&expected), "{output}");
        }
        assert!(took >= timeout / 2, "{took:?}");
    }
}

#[test]
fn who_is_late_at_a_barrier_is_named() {
    let ends = start("late", 2, Duration::from_secs(60));
    let outputs: Vec<String> = ends
        .into_iter()
        .map(|child| text(&child.wait_with_output().unwrap()))
        .collect();
    assert!(
        outputs[0].contains("error: rank 0 lost rank 1 in barrier: "),
        "{outputs:?}"
    );
}

#[test]
fn without_the_others_a_rank_says_whom_it_waited_for() {
    let mut children = start("collectives", 2, Duration::from_secs(2));
    children.pop().unwrap().kill().unwrap();
    let output = children.pop().unwrap().wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains("rank: 0"), "{}", text(&output));
}
