//! PostgreSQL 15's built-in types, functions, operators, casts and aggregates, with its OIDs.
//!
//! Owns the tables `builtin/*.tsv` (taken from a PostgreSQL 15's own pg_catalog; facts, no code). The binder
//! resolves names against them, so overload resolution sees just what PostgreSQL's sees; `pg_proc` and its
//! relatives show them. Whether Hyrax *implements* a function is another question: `functions::scalar` and
//! its neighbours are keyed by `Proc::symbol`, and what they do not know is refused with 0A000 by the binder.

use crate::{Oid, oid, user_type};
use foldhash::{HashMap, HashMapExt};
use std::sync::OnceLock;

/// A row of pg_type (composite types of relations are the catalog's).
#[derive(Debug)]
pub struct Type {
    pub oid: Oid,
    pub name: &'static str,
    pub len: i16,
    pub by_value: bool,
    /// `b`ase, `c`omposite, `d`omain, `e`num, `p`seudo, `r`ange, `m`ultirange.
    pub kind: char,
    pub category: char,
    pub is_preferred: bool,
    pub delimiter: char,
    /// Element type of arrays (and of `name`, `point`, …: see `element_of`).
    pub element: Oid,
    pub array: Oid,
    pub align: char,
    pub storage: char,
    pub collation: Oid,
    /// typinput, typoutput, typreceive, typsend, typmodin, typmodout, typsubscript.
    pub procs: [Oid; 7],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcKind {
    Function,
    Aggregate,
    Window,
    Procedure,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// A row of pg_proc.
#[derive(Debug)]
pub struct Proc {
    pub oid: Oid,
    pub name: &'static str,
    pub kind: ProcKind,
    /// NULL in, NULL out, without a call.
    pub strict: bool,
    pub returns_set: bool,
    pub volatility: Volatility,
    pub parallel: char,
    pub leakproof: bool,
    /// Element type of a VARIADIC last argument (`ANY` for VARIADIC "any"), or 0.
    pub variadic: Oid,
    pub defaults: usize,
    pub result: Oid,
    pub args: Box<[Oid]>,
    /// All arguments with their modes (`i`, `o`, `b`, `v`, `t`) where there are others than IN; else empty.
    pub all_args: Box<[Oid]>,
    pub modes: Box<[char]>,
    pub arg_names: Box<[&'static str]>,
    /// The key of the implementation: PostgreSQL's `prosrc`, or `name(arg,arg)` with type names where the function is written in SQL there.
    pub symbol: &'static str,
    pub cost: f32,
    pub rows: f32,
    pub language: Oid,
    /// Default expressions as SQL, comma-separated.
    pub default_exprs: &'static str,
}

/// A row of pg_operator. `left` is 0 for a prefix operator.
#[derive(Debug)]
pub struct Operator {
    pub oid: Oid,
    pub name: &'static str,
    pub can_merge: bool,
    pub can_hash: bool,
    pub left: Oid,
    pub right: Oid,
    pub result: Oid,
    pub commutator: Oid,
    pub negator: Oid,
    pub proc: Oid,
    /// Selectivity estimators (oprrest, oprjoin).
    pub restrict: Oid,
    pub join: Oid,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CastContext {
    Implicit,
    Assignment,
    Explicit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CastMethod {
    Function,
    InOut,
    Binary,
}

/// A row of pg_cast.
#[derive(Debug)]
pub struct Cast {
    pub oid: Oid,
    pub source: Oid,
    pub target: Oid,
    pub function: Oid,
    pub context: CastContext,
    pub method: CastMethod,
}

/// A row of pg_aggregate.
#[derive(Debug)]
pub struct Aggregate {
    pub proc: Oid,
    /// `n`ormal, `o`rdered-set, `h`ypothetical-set.
    pub kind: char,
    pub direct_args: usize,
    pub transition: Oid,
    pub finish: Oid,
    pub state: Oid,
    /// The operator that makes min/max an index look-up, or 0.
    pub sort_operator: Oid,
    pub initial: Option<&'static str>,
}

struct Tables {
    types: Vec<Type>,
    type_by_oid: HashMap<Oid, usize>,
    type_by_name: HashMap<&'static str, usize>,
    procs: Vec<Proc>,
    proc_by_oid: HashMap<Oid, usize>,
    procs_by_name: HashMap<&'static str, Vec<&'static Proc>>,
    operators: Vec<Operator>,
    operator_by_oid: HashMap<Oid, usize>,
    operators_by_name: HashMap<&'static str, Vec<&'static Operator>>,
    casts: Vec<Cast>,
    cast_by_pair: HashMap<(Oid, Oid), usize>,
    aggregates: Vec<Aggregate>,
    aggregate_by_proc: HashMap<Oid, usize>,
}

/// Rows of one embedded table; every row has at least `columns` fields (checked by a test, so indexing is safe).
fn rows(tsv: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    tsv.lines().map(|line| line.split('\t').collect())
}

fn number<T: std::str::FromStr + Default>(field: &str) -> T {
    field.parse().unwrap_or_default()
}

fn letter(field: &str) -> char {
    field.chars().next().unwrap_or(' ')
}

fn oids(field: &'static str) -> Box<[Oid]> {
    field.split_whitespace().map(number).collect()
}

fn load_types() -> Vec<Type> {
    rows(include_str!("builtin/pg_type.tsv"))
        .map(|f| Type {
            oid: number(f[0]),
            name: f[1],
            len: number(f[2]),
            by_value: f[3] == "t",
            kind: letter(f[4]),
            category: letter(f[5]),
            is_preferred: f[6] == "t",
            delimiter: letter(f[7]),
            element: number(f[9]),
            array: number(f[10]),
            align: letter(f[11]),
            storage: letter(f[12]),
            collation: number(f[13]),
            procs: std::array::from_fn(|i| number(f[14 + i])),
        })
        .collect()
}

fn load_procs(type_name: &dyn Fn(Oid) -> &'static str) -> Vec<Proc> {
    rows(include_str!("builtin/pg_proc.tsv"))
        .map(|f| {
            let args = oids(f[11]);
            let symbol = match f[15] {
                // Interned for the life of the process, once per process.
                "" | "-" => {
                    let names: Vec<&str> = args.iter().map(|a| type_name(*a)).collect();
                    &*Box::leak(format!("{}({})", f[1], names.join(",")).into_boxed_str())
                }
                symbol => symbol,
            };
            Proc {
                oid: number(f[0]),
                name: f[1],
                kind: match f[2] {
                    "a" => ProcKind::Aggregate,
                    "w" => ProcKind::Window,
                    "p" => ProcKind::Procedure,
                    _ => ProcKind::Function,
                },
                strict: f[3] == "t",
                returns_set: f[4] == "t",
                volatility: match f[5] {
                    "i" => Volatility::Immutable,
                    "s" => Volatility::Stable,
                    _ => Volatility::Volatile,
                },
                parallel: letter(f[6]),
                leakproof: f[7] == "t",
                variadic: number(f[8]),
                defaults: number(f[9]),
                result: number(f[10]),
                args,
                all_args: oids(f[12]),
                modes: f[13].split_whitespace().map(letter).collect(),
                arg_names: f[14].split(' ').filter(|_| !f[14].is_empty()).collect(),
                symbol,
                cost: number(f[16]),
                rows: number(f[17]),
                language: number(f[18]),
                default_exprs: f[19],
            }
        })
        .collect()
}

fn load_operators() -> Vec<Operator> {
    rows(include_str!("builtin/pg_operator.tsv"))
        .map(|f| Operator {
            oid: number(f[0]),
            name: f[1],
            can_merge: f[3] == "t",
            can_hash: f[4] == "t",
            left: number(f[5]),
            right: number(f[6]),
            result: number(f[7]),
            commutator: number(f[8]),
            negator: number(f[9]),
            proc: number(f[10]),
            restrict: number(f[11]),
            join: number(f[12]),
        })
        .collect()
}

fn load_casts() -> Vec<Cast> {
    rows(include_str!("builtin/pg_cast.tsv"))
        .map(|f| Cast {
            oid: number(f[0]),
            source: number(f[1]),
            target: number(f[2]),
            function: number(f[3]),
            context: match f[4] {
                "i" => CastContext::Implicit,
                "a" => CastContext::Assignment,
                _ => CastContext::Explicit,
            },
            method: match f[5] {
                "f" => CastMethod::Function,
                "i" => CastMethod::InOut,
                _ => CastMethod::Binary,
            },
        })
        .collect()
}

fn load_aggregates() -> Vec<Aggregate> {
    rows(include_str!("builtin/pg_aggregate.tsv"))
        .map(|f| Aggregate {
            proc: number(f[0]),
            kind: letter(f[1]),
            direct_args: number(f[2]),
            transition: number(f[3]),
            finish: number(f[4]),
            state: number(f[5]),
            sort_operator: number(f[6]),
            initial: (f[7] != "-").then_some(f[7]),
        })
        .collect()
}

fn index<T, K: std::hash::Hash + Eq>(items: &[T], key: impl Fn(&T) -> K) -> HashMap<K, usize> {
    items.iter().enumerate().map(|(i, item)| (key(item), i)).collect()
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<&'static Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let types = load_types();
        let type_by_oid = index(&types, |t| t.oid);
        let procs = load_procs(&|oid| type_by_oid.get(&oid).map_or("?", |i| types[*i].name));
        let operators = load_operators();
        let casts = load_casts();
        let aggregates = load_aggregates();
        let tables = Box::leak(Box::new(Tables {
            type_by_name: index(&types, |t| t.name),
            type_by_oid,
            types,
            proc_by_oid: index(&procs, |p| p.oid),
            procs_by_name: HashMap::new(),
            procs,
            operator_by_oid: index(&operators, |o| o.oid),
            operators_by_name: HashMap::new(),
            operators,
            cast_by_pair: index(&casts, |c| (c.source, c.target)),
            casts,
            aggregate_by_proc: index(&aggregates, |a| a.proc),
            aggregates,
        }));
        // The by-name maps borrow from vectors that now live as long as the process.
        let mut procs_by_name: HashMap<&'static str, Vec<&'static Proc>> = HashMap::new();
        let mut operators_by_name: HashMap<&'static str, Vec<&'static Operator>> = HashMap::new();
        let (all_procs, all_operators): (&'static [Proc], &'static [Operator]) =
            (Vec::leak(std::mem::take(&mut tables.procs)), Vec::leak(std::mem::take(&mut tables.operators)));
        for proc in all_procs {
            procs_by_name.entry(proc.name).or_default().push(proc);
        }
        for operator in all_operators {
            operators_by_name.entry(operator.name).or_default().push(operator);
        }
        ALL_PROCS.get_or_init(|| all_procs);
        ALL_OPERATORS.get_or_init(|| all_operators);
        tables.procs_by_name = procs_by_name;
        tables.operators_by_name = operators_by_name;
        tables
    })
}

static ALL_PROCS: OnceLock<&'static [Proc]> = OnceLock::new();
static ALL_OPERATORS: OnceLock<&'static [Operator]> = OnceLock::new();

pub fn types() -> &'static [Type] {
    &tables().types
}
pub fn procs() -> &'static [Proc] {
    tables();
    ALL_PROCS.get().copied().unwrap_or(&[])
}
pub fn operators() -> &'static [Operator] {
    tables();
    ALL_OPERATORS.get().copied().unwrap_or(&[])
}
pub fn casts() -> &'static [Cast] {
    &tables().casts
}
pub fn aggregates() -> &'static [Aggregate] {
    &tables().aggregates
}

pub fn type_by_oid(oid: Oid) -> Option<&'static Type> {
    let t = tables();
    t.type_by_oid.get(&oid).map(|i| &t.types[*i])
}
/// By pg_type's name (`int4`, `_text`, `bpchar`), not by SQL's spelling (`integer`): see `typename::parse`.
pub fn type_by_name(name: &str) -> Option<&'static Type> {
    let t = tables();
    t.type_by_name.get(name).map(|i| &t.types[*i])
}
pub fn proc_by_oid(oid: Oid) -> Option<&'static Proc> {
    tables().proc_by_oid.get(&oid).map(|i| &procs()[*i])
}
/// All overloads of a name, in OID order.
pub fn procs_by_name(name: &str) -> &'static [&'static Proc] {
    tables().procs_by_name.get(name).map_or(&[], Vec::as_slice)
}
pub fn operator_by_oid(oid: Oid) -> Option<&'static Operator> {
    tables().operator_by_oid.get(&oid).map(|i| &operators()[*i])
}
/// All operators of a name, prefix and infix, in OID order.
pub fn operators_by_name(name: &str) -> &'static [&'static Operator] {
    tables().operators_by_name.get(name).map_or(&[], Vec::as_slice)
}
pub fn cast(source: Oid, target: Oid) -> Option<&'static Cast> {
    let t = tables();
    t.cast_by_pair.get(&(source, target)).map(|i| &t.casts[*i])
}
pub fn aggregate(proc: Oid) -> Option<&'static Aggregate> {
    let t = tables();
    t.aggregate_by_proc.get(&proc).map(|i| &t.aggregates[*i])
}

/// The element type of a true array (subscripted by `array_subscript_handler`), as `get_element_type` tells it; of users'
/// types as well.
pub fn element_of(array: Oid) -> Option<Oid> {
    /// The last of `Type::procs` of true arrays.
    const ARRAY_SUBSCRIPT_HANDLER: Oid = 6179;
    if array >= oid::FIRST_USER_OID {
        return user_type::element_of(array);
    }
    type_by_oid(array)
        .filter(|t| t.len == -1 && t.element != 0 && t.procs.last() == Some(&ARRAY_SUBSCRIPT_HANDLER))
        .map(|t| t.element)
}
pub fn array_of(element: Oid) -> Option<Oid> {
    if element >= oid::FIRST_USER_OID {
        return user_type::array_of(element);
    }
    type_by_oid(element).map(|t| t.array).filter(|a| *a != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_hold_what_postgres_15_holds() {
        // PostgreSQL's, and hyrax_txn_status.
        assert_eq!(procs().len(), 3244 + 1);
        assert_eq!(operators().len(), 799);
        assert_eq!(type_by_name("int4").map(|t| t.oid), Some(23));
        assert_eq!(element_of(crate::oid::TEXT_ARRAY), Some(crate::oid::TEXT));
        assert_eq!(element_of(crate::oid::NAME), None);
        assert_eq!(procs_by_name("lower").len(), 3);
        assert!(operators_by_name("+").iter().any(|o| o.left == 23 && o.right == 23 && o.result == 23));
        assert_eq!(cast(23, 20).map(|c| c.context), Some(CastContext::Implicit));
    }
}
