//! Aggregate functions: a state that takes rows and yields a value.
//!
//! One file a family: `counting`, `sums`, `variance`, `regression`, `extremes`, `collect`, `json`, `ordered_set`. `kind`
//! maps PostgreSQL's OIDs to them. No state allocates per row but those that keep the rows (`array_agg`, `string_agg`,
//! jsonb, percentiles), and those say how much they hold.

mod collect;
mod counting;
mod extremes;
mod json;
mod ordered_set;
mod regression;
mod sums;
mod variance;

use crate::key::KeyOrder;
use crate::{CallContext, Datum, Oid, Result, SqlType, oid};
use counting::BitOperation;
use ordered_set::RankResult;
use regression::RegressionResult;
use variance::{FloatResult, Spread};

pub(crate) use regression::Regression;
pub use sums::NumericSum;
pub use variance::FloatAverage;
pub(crate) use variance::FloatVariance;

/// The running state of one aggregate in one group.
pub trait Accumulator: Send {
    /// Takes one row's arguments. NULLs are passed in; strict aggregates skip them themselves.
    fn update(&mut self, context: &CallContext<'_>, args: &[Datum]) -> Result<()>;
    /// Takes many rows of an aggregate with one argument: the same as `update` with each, but one dynamic call in all.
    fn update_column(&mut self, context: &CallContext<'_>, values: &[Datum]) -> Result<()> {
        values.iter().try_for_each(|value| self.update(context, std::slice::from_ref(value)))
    }
    /// The value so far. May be called many times (window frames that only grow).
    fn finish(&mut self, context: &CallContext<'_>) -> Result<Datum>;
    /// Bytes held, for the memory budget.
    fn size_bytes(&self) -> usize {
        64
    }
}

/// What an aggregate's OID stands for.
#[derive(Clone, Copy)]
enum Kind {
    Count,
    Truth {
        is_and: bool,
    },
    Bits(BitOperation),
    SmallIntegerSum,
    IntegerSum {
        is_average: bool,
    },
    MoneySum,
    NumericSum {
        is_average: bool,
    },
    FloatSum {
        is_single: bool,
    },
    IntervalSum {
        is_average: bool,
    },
    Floats(FloatResult),
    ExactVariance(Spread),
    Regression(RegressionResult),
    /// Of the type, or of the argument's where that is polymorphic.
    Extreme {
        ty: Oid,
        is_max: bool,
    },
    ArrayOfValues,
    ArrayOfArrays,
    Joined {
        is_text: bool,
    },
    JsonArray,
    JsonObject,
    JsonbArray,
    JsonbObject,
    Percentile {
        is_continuous: bool,
    },
    Mode,
    Rank(RankResult),
}

const fn spread(of_sample: bool, is_deviation: bool) -> Spread {
    Spread { of_sample, is_deviation }
}

fn kind(proc: Oid) -> Option<Kind> {
    use Kind::*;
    Some(match proc {
        2147 | 2803 | 2818 => Count,
        2517 | 2519 => Truth { is_and: true },
        2518 => Truth { is_and: false },
        2236 | 2238 | 2240 | 2242 => Bits(BitOperation::And),
        2237 | 2239 | 2241 | 2243 => Bits(BitOperation::Or),
        6164..=6167 => Bits(BitOperation::Xor),
        2108 | 2109 => SmallIntegerSum,
        2107 => IntegerSum { is_average: false },
        2100..=2102 => IntegerSum { is_average: true },
        2112 => MoneySum,
        2114 => NumericSum { is_average: false },
        2103 => NumericSum { is_average: true },
        2110 => FloatSum { is_single: true },
        2111 => FloatSum { is_single: false },
        2113 => IntervalSum { is_average: false },
        2106 => IntervalSum { is_average: true },
        2104 | 2105 => Floats(FloatResult::Average),
        2722 | 2721 => Floats(FloatResult::Spread(spread(false, false))),
        2645 | 2644 | 2152 | 2151 => Floats(FloatResult::Spread(spread(true, false))),
        2728 | 2727 => Floats(FloatResult::Spread(spread(false, true))),
        2716 | 2715 | 2158 | 2157 => Floats(FloatResult::Spread(spread(true, true))),
        2718..=2720 | 2723 => ExactVariance(spread(false, false)),
        2641..=2643 | 2646 | 2148..=2150 | 2153 => ExactVariance(spread(true, false)),
        2724..=2726 | 2729 => ExactVariance(spread(false, true)),
        2712..=2714 | 2717 | 2154..=2156 | 2159 => ExactVariance(spread(true, true)),
        4053 => ArrayOfArrays,
        2335 => ArrayOfValues,
        3538 => Joined { is_text: true },
        3545 => Joined { is_text: false },
        3175 => JsonArray,
        3197 => JsonObject,
        3267 => JsonbArray,
        3270 => JsonbObject,
        3974 | 3976 | 3980 | 3982 => Percentile { is_continuous: true },
        3972 | 3978 => Percentile { is_continuous: false },
        3984 => Mode,
        3986 => Rank(RankResult::Rank),
        3992 => Rank(RankResult::DenseRank),
        3988 => Rank(RankResult::PercentRank),
        3990 => Rank(RankResult::CumulativeDistribution),
        2819..=2829 => Regression(regression_result(proc)),
        _ => return extreme(proc),
    })
}

fn regression_result(proc: Oid) -> RegressionResult {
    match proc {
        2819 => RegressionResult::SumXX,
        2820 => RegressionResult::SumYY,
        2821 => RegressionResult::SumXY,
        2822 => RegressionResult::AverageX,
        2823 => RegressionResult::AverageY,
        2824 => RegressionResult::Determination,
        2825 => RegressionResult::Slope,
        2826 => RegressionResult::Intercept,
        2827 => RegressionResult::CovariancePopulation,
        2828 => RegressionResult::CovarianceSample,
        _ => RegressionResult::Correlation,
    }
}

fn extreme(proc: Oid) -> Option<Kind> {
    let (ty, is_max) = match proc {
        3526 => (oid::ANYENUM, true),
        3527 => (oid::ANYENUM, false),
        2050 => (oid::ANYARRAY, true),
        2051 => (oid::ANYARRAY, false),
        2115 => (oid::INT8, true),
        2131 => (oid::INT8, false),
        2116 => (oid::INT4, true),
        2132 => (oid::INT4, false),
        2117 => (oid::INT2, true),
        2133 => (oid::INT2, false),
        2118 => (oid::OID, true),
        2134 => (oid::OID, false),
        2119 => (oid::FLOAT4, true),
        2135 => (oid::FLOAT4, false),
        2120 => (oid::FLOAT8, true),
        2136 => (oid::FLOAT8, false),
        2122 => (oid::DATE, true),
        2138 => (oid::DATE, false),
        2123 => (oid::TIME, true),
        2139 => (oid::TIME, false),
        2124 => (oid::TIMETZ, true),
        2140 => (oid::TIMETZ, false),
        2125 => (oid::MONEY, true),
        2141 => (oid::MONEY, false),
        2126 => (oid::TIMESTAMP, true),
        2142 => (oid::TIMESTAMP, false),
        2127 => (oid::TIMESTAMPTZ, true),
        2143 => (oid::TIMESTAMPTZ, false),
        2128 => (oid::INTERVAL, true),
        2144 => (oid::INTERVAL, false),
        3564 => (oid::INET, true),
        3565 => (oid::INET, false),
        2129 => (oid::TEXT, true),
        2145 => (oid::TEXT, false),
        2130 => (oid::NUMERIC, true),
        2146 => (oid::NUMERIC, false),
        2244 => (oid::BPCHAR, true),
        2245 => (oid::BPCHAR, false),
        4189 => (oid::PG_LSN, true),
        4190 => (oid::PG_LSN, false),
        5099 => (oid::XID8, true),
        5100 => (oid::XID8, false),
        _ => return None,
    };
    Some(Kind::Extreme { ty, is_max })
}

/// Makes the state of an aggregate by its pg_proc OID (`sum(int4)` is 2108); None where Hyrax has no implementation.
///
/// Ordered-set aggregates get their direct arguments in `direct`; their `context.arg_types` are the types of the direct
/// arguments, then those of the ordered columns, and `update` gets the ordered columns alone, sorted. The hypothetical
/// ones take the columns as ASC NULLS LAST here: see `hypothetical`.
pub fn accumulator(proc: Oid, context: &CallContext<'_>, direct: &[Datum]) -> Result<Option<Box<dyn Accumulator>>> {
    let Some(kind) = kind(proc) else { return Ok(None) };
    let arg_type = |index: usize| context.arg_types.get(index).copied().unwrap_or(SqlType::UNKNOWN);
    Ok(Some(match kind {
        Kind::Count => Box::new(counting::Count::default()),
        Kind::Truth { is_and } => Box::new(counting::Truth::new(is_and)),
        Kind::Bits(operation) => Box::new(counting::Bits::new(operation)),
        Kind::SmallIntegerSum => Box::new(sums::SmallIntegerSum::default()),
        Kind::IntegerSum { is_average } => Box::new(sums::IntegerSum::new(is_average)),
        Kind::MoneySum => Box::new(sums::MoneySum::default()),
        Kind::NumericSum { is_average } => Box::new(sums::NumericSum::new(is_average)),
        Kind::FloatSum { is_single } => Box::new(sums::FloatSum::new(is_single)),
        Kind::IntervalSum { is_average } => Box::new(sums::IntervalSum::new(is_average)),
        Kind::Floats(result) => Box::new(variance::FloatVariance::new(result)),
        Kind::ExactVariance(spread) => Box::new(variance::ExactVariance::new(spread)),
        Kind::Regression(result) => Box::new(regression::Regression::new(result)),
        Kind::Extreme { ty, is_max } => Box::new(extremes::Extreme::new(SqlType::new(ty), is_max)),
        Kind::ArrayOfValues => Box::new(collect::ArrayOfValues::new(arg_type(0).oid)),
        Kind::ArrayOfArrays => Box::new(collect::ArrayOfArrays::default()),
        Kind::Joined { is_text } => Box::new(collect::Joined::new(is_text)),
        Kind::JsonArray => Box::new(json::JsonArray::default()),
        Kind::JsonObject => Box::new(json::JsonObject::default()),
        Kind::JsonbArray => Box::new(json::JsonbArray::default()),
        Kind::JsonbObject => Box::new(json::JsonbObject::default()),
        Kind::Percentile { is_continuous } => {
            let fractions = direct.first().cloned().unwrap_or_default();
            Box::new(ordered_set::Percentile::new(is_continuous, fractions, arg_type(1).oid))
        }
        Kind::Mode => Box::new(ordered_set::Mode::new(arg_type(0))),
        Kind::Rank(_) => {
            let types = context.arg_types.get(direct.len()..).unwrap_or_default();
            let columns: Vec<(SqlType, KeyOrder)> = types.iter().map(|ty| (*ty, KeyOrder::ASC)).collect();
            return Ok(hypothetical(proc, &columns, direct));
        }
    }))
}

/// The state of `rank`, `dense_rank`, `percent_rank` or `cume_dist` of a hypothetical row: the types and directions of the
/// ordered columns, and the row's values (of the same types). None for other aggregates.
pub fn hypothetical(proc: Oid, columns: &[(SqlType, KeyOrder)], row: &[Datum]) -> Option<Box<dyn Accumulator>> {
    match kind(proc)? {
        Kind::Rank(result) => {
            Some(Box::new(ordered_set::HypotheticalRank::new(result, columns.to_vec(), row.to_vec())))
        }
        _ => None,
    }
}

/// Whether `accumulator` knows this aggregate; asked by the binder.
pub fn is_implemented(proc: Oid) -> bool {
    kind(proc).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    /// The OIDs above are numbers only: what each stands for in pg_proc must be what it was taken for.
    #[test]
    fn every_aggregate_but_the_named_is_implemented() {
        let missing: Vec<String> = (builtin::aggregates().iter())
            .filter(|aggregate| !is_implemented(aggregate.proc))
            .filter_map(|aggregate| builtin::proc_by_oid(aggregate.proc))
            .map(|proc| {
                let ty = proc.args.first().and_then(|oid| builtin::type_by_oid(*oid)).map_or("", |ty| ty.name);
                format!("{}({ty})", proc.name)
            })
            .collect();
        let expected = [
            "max(tid)",
            "min(tid)",
            "xmlagg(xml)",
            "range_agg(anyrange)",
            "range_intersect_agg(anymultirange)",
            "range_intersect_agg(anyrange)",
            "range_agg(anymultirange)",
        ];
        assert_eq!(missing, expected);
    }

    #[test]
    fn extremes_are_of_the_type_of_their_argument() {
        for aggregate in builtin::aggregates() {
            let Some(Kind::Extreme { ty, is_max }) = kind(aggregate.proc) else { continue };
            let proc = builtin::proc_by_oid(aggregate.proc).expect("an aggregate is a proc");
            assert_eq!((proc.args[0], proc.name), (ty, if is_max { "max" } else { "min" }), "{}", proc.oid);
        }
    }
}
