//! The scale of a modulated projection.

use nac_engine::training::{
    Compute, Modulation, ModulationGradients, ModulationOperands, ModulationShape,
};

use crate::compare::*;
use crate::reference::{Tensors, layer_norm, normal, project, row};

struct Scale {
    shape: ModulationShape,
    add_one: bool,
}

impl Case for Scale {
    fn tensors(&self) -> Tensors {
        let ModulationShape {
            rows,
            codes,
            features,
        } = self.shape;
        let mut all = Tensors::new();
        all.insert("codes".to_owned(), normal("codes", rows * codes));
        all.insert(
            "scale.weight".to_owned(),
            normal("scale.weight", features * codes),
        );
        all.insert("gain".to_owned(), vec![0.3]);
        all
    }

    fn reference(&self, t: &Tensors) -> Vec<f64> {
        let of = |index| {
            let raw = project(t, "scale", row(&t["codes"], self.shape.codes, index), index);
            let one = f64::from(u8::from(self.add_one));
            let normal = layer_norm(&raw, None).into_iter();
            normal.map(|x| one + t["gain"][0] * x).collect::<Vec<f64>>()
        };
        (0..self.shape.rows).flat_map(of).collect()
    }

    fn engine(&self, compute: &Compute, tensors: &Singles, d_y: &[f32]) -> (Vec<f32>, Singles) {
        let operands = ModulationOperands {
            codes: &tensors["codes"],
            weight: &tensors["scale.weight"],
            gain: tensors["gain"][0],
            add_one: self.add_one,
        };
        let mut block = Modulation::new(self.shape).unwrap();
        let mut scale = vec![f32::NAN; d_y.len()];
        let mut memory = Memory::new(tensors);
        let [codes, weight, gain] = memory.slices(["codes", "scale.weight", "gain"]);
        let mut gradients = ModulationGradients {
            codes,
            weight: weight.unwrap(),
            gain: Some(&mut gain.unwrap()[0]),
        };
        for _ in 0..2 {
            block.forward(compute, &operands, &mut scale).unwrap();
            block
                .backward(compute, &operands, d_y, &mut gradients)
                .unwrap();
        }
        (scale, memory.into_singles())
    }
}

fn scale(rows: usize, codes: usize, features: usize, add_one: bool) -> Scale {
    Scale {
        shape: ModulationShape {
            rows,
            codes,
            features,
        },
        add_one,
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    check(&scale(5, 4, 7, true), "small");
    check(&scale(300, 6, 33, false), "several parts");
}

#[test]
fn threads_do_not_change_a_bit() {
    check_threads(&scale(700, 32, 48, true), "many rows");
}
