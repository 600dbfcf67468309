//! [`Shape`]: what a file of points or a mesh holds.

/// Triangles in space.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mesh {
    /// Finite coordinates of the vertices.
    pub vertices: Vec<[f32; 3]>,
    /// Vertices of each triangle, all below the number of vertices.
    pub triangles: Vec<[u32; 3]>,
}

impl Mesh {
    /// The corners of a triangle; `None` beyond the last one.
    #[must_use]
    pub fn corners(&self, triangle: usize) -> Option<[[f64; 3]; 3]> {
        let [a, b, c] = *self.triangles.get(triangle)?;
        let corner = |index: u32| self.vertices.get(index as usize).map(|v| v.map(f64::from));
        Some([corner(a)?, corner(b)?, corner(c)?])
    }

    /// Area of a triangle; 0 beyond the last one.
    #[must_use]
    pub fn area(&self, triangle: usize) -> f64 {
        let Some([a, b, c]) = self.corners(triangle) else {
            return 0.0;
        };
        let side = |to: [f64; 3]| [to[0] - a[0], to[1] - a[1], to[2] - a[2]];
        let ([ux, uy, uz], [vx, vy, vz]) = (side(b), side(c));
        let cross = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
        0.5 * cross.iter().map(|x| x * x).sum::<f64>().sqrt()
    }
}

/// A mesh or a list of points.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Triangles, of which points are drawn by area.
    Mesh(Mesh),
    /// Finite coordinates, at least one point.
    Points(Vec<[f32; 3]>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_half_the_cross_product() {
        let mesh = Mesh {
            vertices: vec![[0.0; 3], [3.0, 0.0, 0.0], [0.0, 0.0, 4.0]],
            triangles: vec![[0, 1, 2], [0, 1, 1], [0, 1, 7]],
        };
        let areas: Vec<f64> = (0..4).map(|triangle| mesh.area(triangle)).collect();
        assert_eq!(areas, [6.0, 0.0, 0.0, 0.0]);
    }
}
