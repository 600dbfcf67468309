//! Parity with recordings of the authors' code: kernel, sampling and graphons.
//!
//! A value may differ by four times the recording's own `float32` noise plus 1e-6 of the largest
//! value; infinite entries must be the same ones.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use nac_core::prior::{PlantedPartition, RingOfCliques, ScaleFree, WattsStrogatz};
use nac_core::{
    DenseLinks, GraphPrior, LinkKernel, RelaxedBernoulli, SelfEdges, cosine_distance,
    normalize_along_keys, threshold,
};
use ndarray::{Array2, Array3, Axis, Ix2, Ix3};

use support::Recording;

/// What the kernel recordings need besides.
trait KernelRecording {
    /// The recorded kernel.
    fn kernel(&self) -> LinkKernel;
    /// Distances between receivers and senders; a square case has one set of signatures.
    fn distance(&self) -> Array2<f32>;
}

impl KernelRecording for Recording {
    fn kernel(&self) -> LinkKernel {
        let bandwidth = f64::from(*self.tensors["param.bandwidth"].first().unwrap());
        let kernel = LinkKernel::new(bandwidth)
            .unwrap()
            .with_eliminate_diagonal(self.flag("eliminate_diagonal"));
        match self.config("truncation") {
            Some(truncation) => kernel.with_truncation(truncation).unwrap(),
            None => kernel,
        }
    }

    fn distance(&self) -> Array2<f32> {
        let receivers = self.matrix("in.receiver_signatures");
        let senders = if self.flag("square") {
            receivers.clone()
        } else {
            self.matrix("in.sender_signatures")
        };
        cosine_distance(receivers.view(), senders.view()).unwrap()
    }
}

/// Distance, link probability, its log, and both normalised along keys.
#[test]
fn plain_kernels() {
    for name in [
        "c_kernel_plain_bw0.5_fixed",
        "c_kernel_plain_bw1_fixed",
        "c_kernel_nosample_eval",
        "c_kernel_trunc0.9_direct_bw1.0",
        "c_kernel_elimdiag_plain",
        "c_kernel_elimdiag_trunc0.9_direct",
    ] {
        let recording = Recording::read(name);
        let (kernel, distance) = (recording.kernel(), recording.distance());
        let log = kernel.log_link_probability(distance.view()).unwrap();
        let normalized = normalize_along_keys(log.view());
        let mut shown = distance.clone();
        if kernel.eliminate_diagonal() {
            // The authors' code marks an eliminated pair by an infinite distance.
            shown.diag_mut().fill(f32::INFINITY);
        }
        recording.compare("out.distance", &shown.into_dyn());
        recording.compare("out.log_kernel", &log.into_dyn());
        let p = kernel.link_probability(distance.view()).unwrap();
        recording.compare("out.kernel", &p.into_dyn());
        let key = "out.log_kernel_normalized_keys";
        if recording.tensors.contains_key(key) {
            recording.compare(key, &normalized.clone().into_dyn());
            let key = "out.kernel_normalized_keys";
            recording.compare(key, &normalized.mapv(f32::exp).into_dyn());
        } else {
            assert_eq!(name, "c_kernel_elimdiag_trunc0.9_direct");
        }
    }
}

/// Relaxed Bernoulli samples in log space from the recorded uniforms, with and without a batch.
#[test]
fn relaxed_samples() {
    for name in [
        "c_kernel_sample_log_T0.5",
        "c_kernel_sample_log_T1_square_selfprob1",
        "c_kernel_sample_log_nobatch_trunc",
    ] {
        let recording = Recording::read(name);
        let temperature = recording.config("stochastic_sampling_temperature").unwrap();
        let distribution = RelaxedBernoulli::new(temperature).unwrap();
        let log = recording
            .kernel()
            .log_link_probability(recording.distance().view())
            .unwrap();
        for (key, normalize) in [("log_kernel", false), ("log_kernel_normalized_keys", true)] {
            let uniforms = &recording.tensors[&format!("noise.u_{key}.rand")];
            let batched = uniforms.ndim() == 3;
            let uniforms: Array3<f32> = if batched {
                uniforms.clone().into_dimensionality::<Ix3>().unwrap()
            } else {
                let uniforms = uniforms.clone().into_dimensionality::<Ix2>().unwrap();
                uniforms.insert_axis(Axis(0))
            };
            let mut sample = distribution
                .log_sample_batch(log.view(), uniforms.view())
                .unwrap();
            if normalize {
                // Normalised after sampling.
                for mut example in sample.outer_iter_mut() {
                    let normalized = normalize_along_keys(example.view());
                    example.assign(&normalized);
                }
            }
            let sample = if batched {
                sample.into_dyn()
            } else {
                let one = distribution
                    .log_sample(log.view(), uniforms.index_axis(Axis(0), 0))
                    .unwrap();
                let sample = sample.index_axis_move(Axis(0), 0);
                assert!(normalize || one == sample);
                sample.into_dyn()
            };
            recording.compare(&format!("out.{key}"), &sample);
        }
    }
}

/// Evaluation by threshold 0.5.
#[test]
fn thresholded_kernel() {
    let recording = Recording::read("c_kernel_threshold_eval");
    let p = recording
        .kernel()
        .link_probability(recording.distance().view())
        .unwrap();
    let graph = threshold(&DenseLinks(p.view()), 0.5, SelfEdges::AsDrawn).unwrap();
    let kernel = graph.to_dense::<f32>();
    let log = kernel.mapv(f32::ln);
    recording.compare("out.kernel", &kernel.into_dyn());
    let normalized = normalize_along_keys(log.view());
    recording.compare("out.log_kernel", &log.into_dyn());
    recording.compare(
        "out.kernel_normalized_keys",
        &normalized.mapv(f32::exp).into_dyn(),
    );
    recording.compare("out.log_kernel_normalized_keys", &normalized.into_dyn());
}

/// The prior that a graphon recording's configuration asks for.
fn prior(recording: &Recording) -> Box<dyn GraphPrior> {
    let size = |key| recording.config(key).unwrap() as usize;
    match recording.json["config"]["kind"].as_str().unwrap() {
        "sbm" => Box::new(PlantedPartition {
            clusters: size("num_clusters"),
            p_in: recording.config("p_in").unwrap(),
            p_out: recording.config("p_out").unwrap(),
        }),
        "ba" => Box::new(ScaleFree {}),
        "roc" => Box::new(RingOfCliques {
            cliques: size("num_clusters"),
            ..Default::default()
        }),
        "ws" => Box::new(WattsStrogatz {
            k: size("k"),
            p: recording.config("p").unwrap(),
            symmetric: recording.flag("symmetric"),
        }),
        other => panic!("no prior for {other}"),
    }
}

#[test]
fn a_large_graphon() {
    let Some(recording) = Recording::read_from_full_set("h_graphon_ba_n320") else {
        return;
    };
    let graphon = prior(&recording).link_probabilities(320).unwrap();
    recording.compare(
        "out.sampled_graphon",
        &graphon.mapv(|p| p as f32).into_dyn(),
    );
}

#[test]
fn graphons() {
    for name in [
        "h_graphon_ba_n64",
        "h_graphon_roc_n64_c8",
        "h_graphon_sbm_n64_c4",
        "h_graphon_sbm_n64_c8",
        "h_graphon_ws_n64_k32_p0.4_PATCHED",
        "h_graphon_ws_n64_k7_p0.2_PATCHED",
        "h_graphon_ws_n64_k8_p0.4_PATCHED",
    ] {
        let recording = Recording::read(name);
        let n = recording.config("N").unwrap() as usize;
        let graphon = prior(&recording).link_probabilities(n).unwrap();
        recording.compare(
            "out.sampled_graphon",
            &graphon.mapv(|p| p as f32).into_dyn(),
        );
    }
}

/// The symmetric small world differs from the recorded one in the farthest neighbour ahead only.
#[test]
fn symmetric_small_world_adds_one_neighbour() {
    let recording = Recording::read("h_graphon_ws_n64_k8_p0.4_PATCHED");
    let recorded = recording.matrix("out.sampled_graphon");
    let prior = WattsStrogatz {
        k: 8,
        p: 0.4,
        symmetric: true,
    };
    let ours = prior.link_probabilities(64).unwrap();
    for ((i, j), &value) in ours.indexed_iter() {
        let expected = if (j + 64 - i) % 64 == 4 {
            0.6
        } else {
            f64::from(recorded[[i, j]])
        };
        assert!((value - expected).abs() < 1e-6, "{i} {j}");
    }
}
