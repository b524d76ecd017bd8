//! Arrays of any element type: dimensions with lower bounds, values in row-major order.
//!
//! Subscripts, slices and assignments to them are here, for `exec`; functions of arrays are in `functions::arrays`.

use crate::io::array::{ELEMENTS_MAX, too_large, too_many_dimensions};
use crate::{Datum, Oid, Result, SqlError, SqlState, stop};
use std::sync::Arc;

/// An element of a slice that is found and copied.
const ELEMENT_WORK: usize = 32;

pub const DIMENSIONS_MAX: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dimension {
    pub len: i32,
    pub lower: i32,
}

impl Dimension {
    /// The greatest subscript.
    pub fn upper(self) -> i32 {
        self.lower.saturating_add(self.len - 1)
    }
}

/// An empty array has no dimensions.
#[derive(Clone, Debug)]
pub struct Array {
    pub element: Oid,
    pub dims: Vec<Dimension>,
    pub values: Vec<Datum>,
}

/// One subscript of a slice; None is an omitted bound. A plain subscript among slices means `[1:n]`.
pub type Bounds = (Option<i32>, Option<i32>);

#[cold]
fn subscript_error(message: &str) -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}

impl Array {
    /// A one-dimensional array from 1, or the empty array.
    pub fn from_values(element: Oid, values: Vec<Datum>) -> Array {
        let dims = if values.is_empty() { vec![] } else { vec![Dimension { len: values.len() as i32, lower: 1 }] };
        Array { element, dims, values }
    }

    pub fn empty(element: Oid) -> Array {
        Array { element, dims: vec![], values: vec![] }
    }

    pub fn heap_size(&self) -> usize {
        self.values.iter().map(|v| v.heap_size() + size_of::<Datum>()).sum::<usize>() + 64
    }

    /// Where the element of these subscripts lies, one for each dimension.
    fn offset(&self, subscripts: &[i32]) -> Option<usize> {
        if subscripts.len() != self.dims.len() || subscripts.is_empty() {
            return None;
        }
        let mut offset = 0;
        for (subscript, d) in subscripts.iter().zip(&self.dims) {
            let at = i64::from(*subscript) - i64::from(d.lower);
            if !(0..i64::from(d.len)).contains(&at) {
                return None;
            }
            offset = offset * d.len as usize + at as usize;
        }
        Some(offset)
    }

    /// `array[i][j]`; NULL outside the array or with another number of subscripts.
    pub fn get(&self, subscripts: &[i32]) -> Datum {
        self.offset(subscripts).and_then(|at| self.values.get(at)).cloned().unwrap_or(Datum::Null)
    }

    /// `array[a:b][c:d]`, with lower bounds of 1; empty where nothing is inside. Dimensions without a subscript are whole.
    pub fn slice(&self, bounds: &[Bounds]) -> Result<Array> {
        if bounds.len() > self.dims.len() {
            return Ok(Array::empty(self.element));
        }
        let mut ranges = Vec::with_capacity(self.dims.len());
        for (index, d) in self.dims.iter().enumerate() {
            let (lower, upper) = bounds.get(index).copied().unwrap_or((None, None));
            let from = lower.unwrap_or(d.lower).max(d.lower);
            let to = upper.unwrap_or(d.upper()).min(d.upper());
            if from > to {
                return Ok(Array::empty(self.element));
            }
            ranges.push(((from - d.lower) as usize, (to - d.lower) as usize));
        }
        let dims = ranges.iter().map(|(from, to)| Dimension { len: (to - from + 1) as i32, lower: 1 }).collect();
        let mut values = Vec::new();
        for at in stop::each(self.offsets_in(&ranges), ELEMENT_WORK) {
            values.extend(self.values.get(at?).cloned());
        }
        Ok(Array { element: self.element, dims, values })
    }

    /// Offsets of the elements in a box, in row-major order. `ranges` are inclusive and from 0.
    fn offsets_in(&self, ranges: &[(usize, usize)]) -> impl Iterator<Item = usize> + use<> {
        let lens: Vec<usize> = self.dims.iter().map(|d| d.len as usize).collect();
        let ranges = ranges.to_vec();
        let total: usize = ranges.iter().map(|(from, to)| to - from + 1).product();
        (0..total).map(move |index| {
            let (mut rest, mut offset, mut stride) = (index, 0, 1);
            for ((from, to), len) in ranges.iter().zip(&lens).rev() {
                let size = to - from + 1;
                offset += (from + rest % size) * stride;
                rest /= size;
                stride *= len;
            }
            offset
        })
    }
}

fn dimension(lower: i32, upper: i32) -> Result<Dimension> {
    let len = i64::from(upper) - i64::from(lower) + 1;
    if len > ELEMENTS_MAX as i64 || upper == i32::MAX {
        return Err(too_large());
    }
    Ok(Dimension { len: len as i32, lower })
}

/// Makes a one-dimensional array reach from `lower` to `upper` at least, with NULLs in what is new.
fn extend(array: &mut Array, lower: i32, upper: i32) -> Result<()> {
    let Some(old) = array.dims.first().copied() else { return Ok(()) };
    let new = dimension(lower.min(old.lower), upper.max(old.upper()))?;
    let before = (i64::from(old.lower) - i64::from(new.lower)) as usize;
    array.values.splice(0..0, std::iter::repeat_n(Datum::Null, before));
    array.values.resize(new.len as usize, Datum::Null);
    array.dims = vec![new];
    Ok(())
}

/// `SET array[i][j] = value`: an array of one dimension grows as needed, NULL or an empty one begins there; one of more
/// dimensions does not grow (2202E).
pub fn array_set_element(array: Option<&Array>, element: Oid, subscripts: &[i32], value: Datum) -> Result<Arc<Array>> {
    if subscripts.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(subscripts.len()));
    }
    let Some(array) = array.filter(|array| !array.dims.is_empty()) else {
        let dims = subscripts.iter().map(|at| dimension(*at, *at)).collect::<Result<Vec<Dimension>>>()?;
        return Ok(Arc::new(Array { element, dims, values: vec![value] }));
    };
    if array.dims.len() != subscripts.len() {
        return Err(subscript_error("wrong number of array subscripts"));
    }
    let mut array = array.clone();
    if let [at] = subscripts {
        extend(&mut array, *at, *at)?;
    }
    let place = array.offset(subscripts).and_then(|at| array.values.get_mut(at));
    *place.ok_or_else(|| subscript_error("array subscript out of range"))? = value;
    Ok(Arc::new(array))
}

/// `SET array[a:b] = source`: takes as many values of the source as the slice has places, whatever its dimensions. A NULL
/// source changes nothing, which the caller has looked at.
pub fn array_set_slice(array: Option<&Array>, element: Oid, bounds: &[Bounds], source: &Array) -> Result<Arc<Array>> {
    if bounds.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(bounds.len()));
    }
    let too_small = || subscript_error("source array too small");
    let reversed = || subscript_error("upper bound cannot be less than lower bound");
    let Some(array) = array.filter(|array| !array.dims.is_empty()) else {
        let mut dims = Vec::with_capacity(bounds.len());
        let mut total = 1_usize;
        for bound in bounds {
            let (Some(lower), Some(upper)) = *bound else {
                return Err(subscript_error("array slice subscript must provide both boundaries").detail(
                    "When assigning to a slice of an empty array value, slice boundaries must be fully specified.",
                ));
            };
            if upper < lower {
                return Err(reversed());
            }
            let d = dimension(lower, upper)?;
            total = total.checked_mul(d.len as usize).filter(|t| *t <= ELEMENTS_MAX).ok_or_else(too_large)?;
            dims.push(d);
        }
        let values = source.values.get(..total).ok_or_else(too_small)?.to_vec();
        return Ok(Arc::new(Array { element, dims, values }));
    };
    if bounds.len() > array.dims.len() {
        return Err(subscript_error("wrong number of array subscripts"));
    }
    let mut array = array.clone();
    if let ([d], [(lower, upper)]) = (array.dims.as_slice(), bounds) {
        let (lower, upper) = (lower.unwrap_or(d.lower), upper.unwrap_or(d.upper()));
        if upper < lower {
            return Err(reversed());
        }
        extend(&mut array, lower, upper)?;
    }
    let mut ranges = Vec::with_capacity(array.dims.len());
    for (index, d) in array.dims.iter().enumerate() {
        let (lower, upper) = bounds.get(index).copied().unwrap_or((None, None));
        let (lower, upper) = (lower.unwrap_or(d.lower), upper.unwrap_or(d.upper()));
        if upper < lower {
            return Err(reversed());
        }
        if lower < d.lower || upper > d.upper() {
            return Err(subscript_error("array subscript out of range"));
        }
        ranges.push(((lower - d.lower) as usize, (upper - d.lower) as usize));
    }
    let offsets: Vec<usize> = array.offsets_in(&ranges).collect();
    if source.values.len() < offsets.len() {
        return Err(too_small());
    }
    for (at, value) in offsets.into_iter().zip(&source.values) {
        if let Some(place) = array.values.get_mut(at) {
            *place = value.clone();
        }
    }
    Ok(Arc::new(array))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FormatSettings, SqlType, io, oid};

    fn ints(text: &str) -> Arc<Array> {
        let value = io::input(SqlType::new(oid::INT4_ARRAY), text, &FormatSettings::default()).expect("an array");
        Arc::clone(value.as_array())
    }

    fn shown(array: &Array) -> String {
        let mut out = Vec::new();
        io::array::output(array, &FormatSettings::default(), &mut out);
        io::into_string(out)
    }

    #[track_caller]
    fn check_set(array: &str, at: &[i32], expected: Result<&str, &str>) {
        let found = array_set_element(Some(&ints(array)), oid::INT4, at, Datum::Int4(9));
        assert_eq!(found.as_ref().map(|a| shown(a)).map_err(|e| e.message()), expected.map(str::to_owned));
    }

    #[track_caller]
    fn check_slice(array: &str, bounds: &[Bounds], source: &str, expected: Result<&str, &str>) {
        let found = array_set_slice(Some(&ints(array)), oid::INT4, bounds, &ints(source));
        assert_eq!(found.as_ref().map(|a| shown(a)).map_err(|e| e.message()), expected.map(str::to_owned));
    }

    /// All of these were asked of PostgreSQL 15.
    #[test]
    fn elements_are_set_and_arrays_grow() {
        check_set("{1,2,3}", &[5], Ok("{1,2,3,NULL,9}"));
        check_set("{1,2}", &[-1], Ok("[-1:2]={9,NULL,1,2}"));
        check_set("{}", &[3], Ok("[3:3]={9}"));
        check_set("{}", &[1, 2], Ok("[1:1][2:2]={{9}}"));
        check_set("{{1,2},{3,4}}", &[2, 1], Ok("{{1,2},{9,4}}"));
        check_set("{{1,2},{3,4}}", &[3, 1], Err("array subscript out of range"));
        check_set("{{1,2}}", &[1], Err("wrong number of array subscripts"));
        check_set("{1}", &[i32::MAX], Err("array size exceeds the maximum allowed (134217727)"));
    }

    #[test]
    fn slices_are_set() {
        check_slice("{1,2,3}", &[(Some(2), Some(3))], "{7,8}", Ok("{1,7,8}"));
        check_slice("{1}", &[(Some(3), Some(4))], "{7,8}", Ok("{1,NULL,7,8}"));
        check_slice("{1,2}", &[(Some(1), Some(2))], "{7}", Err("source array too small"));
        check_slice("{}", &[(Some(2), Some(3))], "{1,2,3}", Ok("[2:3]={1,2}"));
        check_slice("{}", &[(None, Some(3))], "{1}", Err("array slice subscript must provide both boundaries"));
        check_slice("{1}", &[(Some(2), Some(1))], "{1}", Err("upper bound cannot be less than lower bound"));
        check_slice("{{1,2},{3,4}}", &[(Some(2), Some(2)), (Some(1), Some(2))], "{0,0}", Ok("{{1,2},{0,0}}"));
        check_slice("{{1,2},{3,4}}", &[(Some(2), Some(3))], "{0,0,0,0}", Err("array subscript out of range"));
    }

    #[test]
    fn slices_are_read() {
        let array = ints("{{1,2,3},{4,5,6}}");
        let slice = |bounds: &[Bounds]| array.slice(bounds).expect("wanted");
        assert_eq!(shown(&slice(&[(Some(2), None), (Some(2), Some(9))])), "{{5,6}}");
        assert_eq!(shown(&slice(&[(Some(1), Some(1))])), "{{1,2,3}}");
        assert_eq!(shown(&slice(&[(Some(3), Some(4))])), "{}");
        assert_eq!(shown(&ints("[5:7]={1,2,3}").slice(&[(None, Some(6))]).expect("wanted")), "{1,2}");
        assert!(array.get(&[1]).is_null() && !array.get(&[2, 3]).is_null());
    }
}
