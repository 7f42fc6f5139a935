//! RMSNorm (Zhang and Sennrich 2019): `y = x r w`, `r = 1 / sqrt(mean(x²) + eps)`.

use super::vector::{Op, dot, dot3, madd, widest};

/// Computes `y` and, for the backward pass, `r` of every row. O(rows d).
pub(super) fn forward(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32], r: &mut [f32]) {
    struct Forward<'a> {
        x: &'a [f32],
        weight: &'a [f32],
        eps: f32,
        y: &'a mut [f32],
        r: &'a mut [f32],
    }
    impl Op for Forward<'_> {
        type Output = ();
        #[inline(always)]
        fn run<const FMA: bool>(self) {
            let d = self.weight.len();
            let rows = self.x.chunks_exact(d).zip(self.y.chunks_exact_mut(d));
            for ((x, y), r) in rows.zip(self.r) {
                let scale = 1.0 / (dot::<FMA>(x, x) / d as f32 + self.eps).sqrt();
                *r = scale;
                for ((y, x), w) in y.iter_mut().zip(x).zip(self.weight) {
                    *y = x * scale * w;
                }
            }
        }
    }
    widest(Forward {
        x,
        weight,
        eps,
        y,
        r,
    });
}

/// Adds the gradient with respect to `x` to `dx` and that with respect to the
/// weight to `dweight`, given `[x, weight, r, dy]`:
/// `dx = r (w dy - x r² mean(w dy x))`, `dw = Σ_rows dy x r`.
pub(super) fn backward(given: [&[f32]; 4], dx: &mut [f32], dweight: &mut [f32]) {
    widest(Backward { given, dx, dweight });
}

struct Backward<'a> {
    given: [&'a [f32]; 4],
    dx: &'a mut [f32],
    dweight: &'a mut [f32],
}

impl Op for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let [x, weight, r, dy] = self.given;
        let d = weight.len();
        let rows = x.chunks_exact(d).zip(dy.chunks_exact(d));
        let rows = rows.zip(self.dx.chunks_exact_mut(d)).zip(r);
        for (((x, dy), dx), &r) in rows {
            let along = dot3::<FMA>(weight, dy, x) * r * r * r / d as f32;
            let dweight = self.dweight.iter_mut().zip(weight);
            for (((dx, (dw, w)), dy), x) in dx.iter_mut().zip(dweight).zip(dy).zip(x) {
                *dx += madd::<FMA>(r * w, *dy, -along * x);
                *dw = madd::<FMA>(dy * r, *x, *dw);
            }
        }
    }
}
