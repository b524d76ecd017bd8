//! `corr`, `covar_*` and `regr_*`: sums of squares and products about the means, by Youngs and Cramer's recurrence.

use super::Accumulator;
use super::variance::overflow;
use crate::functions::float::add;
use crate::{CallContext, Datum, Result};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RegressionResult {
    SumXX,
    SumYY,
    SumXY,
    AverageX,
    AverageY,
    CovariancePopulation,
    CovarianceSample,
    Correlation,
    Determination,
    Slope,
    Intercept,
}

pub struct Regression {
    result: RegressionResult,
    count: f64,
    sum_x: f64,
    sum_y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Regression {
    pub fn new(result: RegressionResult) -> Regression {
        Regression { result, count: 0.0, sum_x: 0.0, sum_y: 0.0, xx: 0.0, yy: 0.0, xy: 0.0 }
    }

    /// The state as `float8_regr_accum` keeps it: the count, then the sum and the sum of squared distances of each variable, and
    /// the sum of the distances' products.
    pub fn from_state([count, sum_x, xx, sum_y, yy, xy]: [f64; 6]) -> Regression {
        Regression { result: RegressionResult::SumXX, count, sum_x, sum_y, xx, yy, xy }
    }

    pub fn state(&self) -> [f64; 6] {
        [self.count, self.sum_x, self.xx, self.sum_y, self.yy, self.xy]
    }

    /// Takes the rows that `other` has seen.
    pub fn merge(&mut self, other: &Regression) -> Result<()> {
        if other.count == 0.0 {
            return Ok(());
        }
        if self.count == 0.0 {
            *self = Regression { result: self.result, ..*other };
            return Ok(());
        }
        let count = self.count + other.count;
        let x_apart = self.sum_x / self.count - other.sum_x / other.count;
        let y_apart = self.sum_y / self.count - other.sum_y / other.count;
        let weight = |product: f64| self.count * other.count * product / count;
        let unless_explained = |merged: f64, a: f64, b: f64| match merged.is_infinite() {
            true if !a.is_infinite() && !b.is_infinite() => Err(overflow()),
            _ => Ok(merged),
        };
        let merged = Regression {
            result: self.result,
            count,
            sum_x: add(self.sum_x, other.sum_x)?,
            sum_y: add(self.sum_y, other.sum_y)?,
            xx: unless_explained(self.xx + other.xx + weight(x_apart * x_apart), self.xx, other.xx)?,
            yy: unless_explained(self.yy + other.yy + weight(y_apart * y_apart), self.yy, other.yy)?,
            xy: unless_explained(self.xy + other.xy + weight(x_apart * y_apart), self.xy, other.xy)?,
        };
        *self = merged;
        Ok(())
    }

    /// Takes a point.
    pub fn add(&mut self, y: f64, x: f64) -> Result<()> {
        let (x_before, y_before) = (self.sum_x, self.sum_y);
        self.count += 1.0;
        self.sum_x += x;
        self.sum_y += y;
        if self.count > 1.0 {
            let (x_distance, y_distance) = (x * self.count - self.sum_x, y * self.count - self.sum_y);
            let scale = 1.0 / (self.count * (self.count - 1.0));
            self.xx += x_distance * x_distance * scale;
            self.yy += y_distance * y_distance * scale;
            self.xy += x_distance * y_distance * scale;
            return self
                .check_range(x_before.is_infinite() || x.is_infinite(), y_before.is_infinite() || y.is_infinite());
        }
        if !x.is_finite() {
            (self.xx, self.xy) = (f64::NAN, f64::NAN);
        }
        if !y.is_finite() {
            (self.yy, self.xy) = (f64::NAN, f64::NAN);
        }
        Ok(())
    }

    /// An infinity that no infinite input explains is overflow; else what it has touched is NaN.
    fn check_range(&mut self, x_explained: bool, y_explained: bool) -> Result<()> {
        let x_infinite = self.sum_x.is_infinite() || self.xx.is_infinite();
        let y_infinite = self.sum_y.is_infinite() || self.yy.is_infinite();
        if !x_infinite && !y_infinite && !self.xy.is_infinite() {
            return Ok(());
        }
        let unexplained = (x_infinite && !x_explained)
            || (y_infinite && !y_explained)
            || (self.xy.is_infinite() && !x_explained && !y_explained);
        if unexplained {
            return Err(overflow());
        }
        for sum in [&mut self.xx, &mut self.yy, &mut self.xy] {
            if sum.is_infinite() {
                *sum = f64::NAN;
            }
        }
        Ok(())
    }
}

impl Accumulator for Regression {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        // The dependent variable comes first.
        match (&args[0], &args[1]) {
            (Datum::Float8(y), Datum::Float8(x)) => self.add(*y, *x),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        use RegressionResult::*;
        if self.count < 1.0 {
            return Ok(Datum::Null);
        }
        let value = match self.result {
            SumXX => self.xx,
            SumYY => self.yy,
            SumXY => self.xy,
            AverageX => self.sum_x / self.count,
            AverageY => self.sum_y / self.count,
            CovariancePopulation => self.xy / self.count,
            CovarianceSample if self.count < 2.0 => return Ok(Datum::Null),
            CovarianceSample => self.xy / (self.count - 1.0),
            // A vertical or horizontal line has no correlation, a vertical one no slope.
            Correlation if self.xx == 0.0 || self.yy == 0.0 => return Ok(Datum::Null),
            Correlation => self.xy / (self.xx * self.yy).sqrt(),
            Determination | Slope | Intercept if self.xx == 0.0 => return Ok(Datum::Null),
            Determination if self.yy == 0.0 => 1.0,
            Determination => (self.xy * self.xy) / (self.xx * self.yy),
            Slope => self.xy / self.xx,
            Intercept => (self.sum_y - self.sum_x * self.xy / self.xx) / self.count,
        };
        Ok(Datum::Float8(value))
    }
}
