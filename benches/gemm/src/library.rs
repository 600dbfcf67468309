//! Libraries that multiply matrices, behind one call.
//!
//! To add one: a variant of [`Library`] and an arm in each `match`.

use anyhow::Result;
use nac_engine::{EngineOptions, Operation, Precision, Probe};
use ndarray::Array2;
use ndarray::linalg::general_mat_mul;
use tch::{Cuda, Device, Kind, Tensor};

use crate::shape::Shape;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    /// libtorch in float32.
    Torch,
    /// libtorch in bfloat16.
    TorchBf16,
    /// Crate `gemm`.
    Gemm,
    /// Crate `matrixmultiply`, through ndarray.
    MatrixMultiply,
    /// The modulated projection of nac-engine.
    NacEngine,
    /// The same in bfloat16.
    NacEngineBf16,
}

impl Library {
    /// Those that can compute on a device.
    pub(crate) fn on(device: Device) -> Vec<Self> {
        let torch = vec![Self::Torch, Self::TorchBf16];
        if device == Device::Cpu {
            [
                torch,
                vec![
                    Self::Gemm,
                    Self::MatrixMultiply,
                    Self::NacEngine,
                    Self::NacEngineBf16,
                ],
            ]
            .concat()
        } else {
            torch
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Torch | Self::TorchBf16 => "libtorch",
            Self::Gemm => "gemm",
            Self::MatrixMultiply => "matrixmultiply",
            Self::NacEngine | Self::NacEngineBf16 => "nac-engine",
        }
    }

    pub(crate) fn precision(self) -> Precision {
        match self {
            Self::TorchBf16 | Self::NacEngineBf16 => Precision::Bf16,
            Self::Torch | Self::Gemm | Self::MatrixMultiply | Self::NacEngine => Precision::F32,
        }
    }
}

/// Matrices of a library, with a buffer for their product, row-major.
pub(crate) enum Operands {
    Torch {
        left: Tensor,
        right: Tensor,
        product: Tensor,
    },
    Engine(Box<Probe>),
    Arrays {
        library: Library,
        left: Array2<f32>,
        right: Array2<f32>,
        product: Array2<f32>,
        threads: usize,
    },
}

impl Operands {
    pub(crate) fn new(
        library: Library,
        shape: Shape,
        device: Device,
        threads: usize,
    ) -> Result<Self> {
        let Shape {
            rows,
            inner,
            columns,
        } = shape;
        let matrix = |rows: usize, columns: usize| {
            Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7 + j) % 13) as f32 - 6.0)
        };
        let (left, right) = (matrix(rows, inner), matrix(inner, columns));
        let product = Array2::zeros((rows, columns));
        let kind = match library {
            Library::Torch => Kind::Float,
            Library::TorchBf16 => Kind::BFloat16,
            Library::NacEngine => return Self::engine(shape, Precision::F32, threads),
            Library::NacEngineBf16 => return Self::engine(shape, Precision::Bf16, threads),
            Library::Gemm | Library::MatrixMultiply => {
                return Ok(Self::Arrays {
                    library,
                    left,
                    right,
                    product,
                    threads,
                });
            }
        };
        let tensor = |matrix: Array2<f32>| -> Result<Tensor> {
            let size = [matrix.nrows() as i64, matrix.ncols() as i64];
            let flat = matrix.into_raw_vec_and_offset().0;
            let tensor = Tensor::f_from_slice(&flat)?.f_view(size)?;
            Ok(tensor.f_to_kind(kind)?.f_to_device(device)?)
        };
        Ok(Self::Torch {
            left: tensor(left)?,
            right: tensor(right)?,
            product: tensor(product)?,
        })
    }

    /// Rows are modules, columns the features of the result.
    fn engine(shape: Shape, precision: Precision, threads: usize) -> Result<Self> {
        let operation = Operation::Projection {
            inputs: shape.inner,
            outputs: shape.columns,
            items: shape.rows,
        };
        let options = EngineOptions {
            threads,
            precision,
            ..Default::default()
        };
        Ok(Self::Engine(Box::new(Probe::new(operation, &options)?)))
    }

    /// Computes the product, and waits for it.
    pub(crate) fn multiply(&mut self) -> Result<()> {
        match self {
            Self::Torch {
                left,
                right,
                product,
            } => {
                let _ = left.f_matmul_out(product, right)?;
                if let Device::Cuda(index) = product.device() {
                    Cuda::synchronize(index as i64);
                }
            }
            Self::Engine(probe) => probe.run(),
            Self::Arrays {
                library: Library::Gemm,
                left,
                right,
                product,
                threads,
            } => gemm_product(left, right, product, *threads),
            Self::Arrays {
                left,
                right,
                product,
                ..
            } => general_mat_mul(1.0, left, right, 0.0, product),
        }
        Ok(())
    }
}

/// `product = left × right` by the crate `gemm`.
fn gemm_product(
    left: &Array2<f32>,
    right: &Array2<f32>,
    product: &mut Array2<f32>,
    threads: usize,
) {
    let ((rows, inner), columns) = (left.dim(), right.ncols());
    assert_eq!((right.nrows(), product.dim()), (inner, (rows, columns)));
    let strides = |array: &Array2<f32>| (array.strides()[1], array.strides()[0]);
    let (left_stride, right_stride) = (strides(left), strides(right));
    let product_stride = strides(product);
    // SAFETY: pointers, strides and dimensions are those of three arrays that live through the call; their dimensions
    // fit, as asserted; the product is borrowed mutably, so it overlaps neither operand.
    #[allow(unsafe_code, reason = "the crate takes pointers")]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            product.as_mut_ptr(),
            product_stride.0,
            product_stride.1,
            false,
            left.as_ptr(),
            left_stride.0,
            left_stride.1,
            right.as_ptr(),
            right_stride.0,
            right_stride.1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::Rayon(threads),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_agree() {
        let shape = Shape::new(5, 7, 3);
        let products: Vec<Vec<f32>> = Library::on(Device::Cpu)
            .into_iter()
            .filter_map(|library| {
                let mut operands = Operands::new(library, shape, Device::Cpu, 2).unwrap();
                operands.multiply().unwrap();
                Some(match operands {
                    Operands::Torch { product, .. } => {
                        Vec::try_from(product.to_kind(Kind::Float).flatten(0, -1)).unwrap()
                    }
                    Operands::Arrays { product, .. } => product.into_raw_vec_and_offset().0,
                    // It packs its weights; its products are tested in nac-engine.
                    Operands::Engine(_) => return None,
                })
            })
            .collect();
        assert_eq!(products.len(), 4);
        assert!(products[0].iter().any(|value| *value != 0.0));
        for product in &products {
            // Small integers: exact in float32, and in bfloat16 up to its rounding.
            for (ours, first) in product.iter().zip(&products[0]) {
                assert!((ours - first).abs() <= first.abs() / 128.0);
            }
        }
    }
}
