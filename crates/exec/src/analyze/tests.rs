//! The measures on samples whose answer is known, and the way from rows to statistics.

use super::column::describe;
use super::refresh::is_stale;
use super::sample::{Cell, Sampler};
use crate::rows::Table;
use crate::tests::support::table;
use catalog::Statistics;
use std::sync::Arc;
use types::{Datum, SqlType};

fn cells(values: &[Option<i32>]) -> Vec<Cell> {
    values.iter().map(|v| v.map_or(Cell::Null, |v| Cell::Value(Datum::Int4(v), 4))).collect()
}

fn column(values: &[Option<i32>], rows: u64, target: usize) -> catalog::ColumnStatistics {
    let order: Vec<u64> = (0..values.len() as u64).collect();
    describe(1, SqlType::INT4, true, &cells(values), &order, rows, target)
}

#[test]
fn a_key_is_as_distinct_as_its_rows() {
    let values: Vec<Option<i32>> = (0..1_000).map(Some).collect();
    let s = column(&values, 1_000, 10);
    assert_eq!((s.distinct, s.null_fraction, s.average_width), (-1.0, 0.0, 4.0));
    assert!(s.common.is_empty());
    assert_eq!(s.histogram.len(), 11);
    assert_eq!((s.histogram[0].as_str(), s.histogram[10].as_str()), ("0", "999"));
    assert!((s.correlation - 1.0).abs() < 1e-9);
    let reversed: Vec<Option<i32>> = (0..1_000).rev().map(Some).collect();
    assert!((column(&reversed, 1_000, 10).correlation + 1.0).abs() < 1e-9);
}

#[test]
fn few_values_are_all_common() {
    let values: Vec<Option<i32>> = (0..1_000).map(|n| if n % 4 == 0 { None } else { Some(n % 2) }).collect();
    let s = column(&values, 1_000, 100);
    assert_eq!((s.distinct, s.null_fraction), (2.0, 0.25));
    assert_eq!(s.common, [("1".to_owned(), 0.5), ("0".to_owned(), 0.25)]);
    assert!(s.histogram.is_empty());
}

#[test]
fn a_sample_stands_for_its_relation() {
    // Half the sampled values once: far more values in the relation than in the sample.
    let values: Vec<Option<i32>> = (0..3_000).map(|n| Some(if n % 2 == 0 { n } else { n % 100 })).collect();
    let few = column(&values, 3_000, 100).distinct;
    let many = column(&values, 300_000, 100).distinct;
    assert!(few < 0.0 && (0.45..0.65).contains(&-few), "{few}");
    assert!(many > 0.0 && many < 30_000.0 || many < 0.0, "{many}");
    let frequent = column(&values, 300_000, 100);
    assert_eq!(frequent.common.len(), 50);
}

#[test]
fn nothing_but_nulls_is_known_as_such() {
    let s = column(&[None, None], 2, 100);
    assert_eq!((s.null_fraction, s.distinct), (1.0, 0.0));
}

/// Every row has the same chance: the mean of the numbers of the sampled rows is the middle.
#[test]
fn samples_are_fair() {
    let relation = Arc::new(table(20_000, "t", &[("a", SqlType::INT4)]));
    let rows = 100_000u64;
    let table = Table::new(&relation).expect("a table");
    let mut row = vec![];
    table.encode(0, &[Datum::Int4(7)], None, &mut row);
    for seed in 0..5 {
        let mut sampler = Sampler::new(table.clone(), vec![1], 3_000, seed);
        for _ in 0..rows {
            sampler.see(&row).expect("a row");
        }
        let sample = sampler.finish();
        assert_eq!((sample.rows, sample.order.len(), sample.columns[0].len()), (rows, 3_000, 3_000));
        let mean = sample.order.iter().sum::<u64>() as f64 / 3_000.0;
        // Standard error: 100,000 / sqrt(12 * 3,000) = 527.
        assert!((mean - 50_000.0).abs() < 4.0 * 527.0, "{mean}");
        let mut numbers = sample.order.clone();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 3_000);
    }
}

#[test]
fn statistics_go_stale_by_a_fifth() {
    let known = Statistics { rows: 1_000.0, ..Statistics::default() };
    assert!(!is_stale(1_200, Some(&known)));
    assert!(is_stale(1_250, Some(&known)));
    assert!(is_stale(0, Some(&known)));
    assert!(is_stale(50, None) && !is_stale(49, None));
}
