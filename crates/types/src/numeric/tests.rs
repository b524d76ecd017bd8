use super::*;
use proptest::prelude::*;

fn n(text: &str) -> Numeric {
    Numeric::parse(text).unwrap()
}

/// I2: each of these is a number of millions of digits or more; none may be computed to find that out.
#[test]
fn what_is_too_large_is_refused_before_it_is_computed() {
    let huge =
        |result: Result<Numeric>| assert_eq!(result.map_err(|e| e.code()), Err(SqlState::NUMERIC_VALUE_OUT_OF_RANGE));
    huge(Numeric::parse("1e131072"));
    huge(Numeric::parse("1e1000000000"));
    huge(Numeric::parse("1e99999999999999999999"));
    huge(Numeric::parse("1e-16384"));
    huge(n("7").power(&n("2147483647")));
    huge(n("7").power(&n("1e1000")));
    huge(n("1e131071").mul(&n("10")));
    huge(n("1e131071").div(&n("1e-16383")));
    huge(n("6000").exp());
    huge(factorial(32_178));
    huge(n("9").round(-1).and_then(|ten| ten.power(&n("131072"))));
    assert!(n("1e131071").rescale(-2_000, arith::Rounding::HalfAway).is_ok());
}

/// I1, also for what comes out of the slow paths.
#[test]
fn digits_that_do_not_fit_are_refused_before_they_are_read_as_a_number() {
    let (before, after) = ("9".repeat(DIGITS_BEFORE_MAX as usize), "9".repeat(SCALE_MAX as usize));
    assert_eq!(n(&format!("{before}.{after}")).to_string().len(), before.len() + 1 + after.len());
    assert_eq!(n(&format!("{}1", "0".repeat(1 << 20))), n("1"));
    for text in [format!("1{before}"), format!("0.1{after}"), format!("1{before}e-1{after}"), "7".repeat(20 << 20)] {
        assert_eq!(Numeric::parse(&text).map_err(|error| error.code()), Err(SqlState::NUMERIC_VALUE_OUT_OF_RANGE));
    }
}

#[test]
fn small_values_have_the_small_form() {
    let check =
        |value: Numeric, is_small: bool| assert_eq!(matches!(value, Numeric::Small { .. }), is_small, "{value}");
    check(n("9223372036854775807"), true);
    check(n("9223372036854775808"), false);
    check(n("-9223372036854775808"), true);
    check(n("9223372036854775808").neg(), true);
    check(n("9223372036854775808").sub(&Numeric::ONE).unwrap(), true);
}

#[test]
fn a_typmod_keeps_its_range_after_rounding() {
    let typmod = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7FF)) + 4;
    let check = |text: &str, typmod: i32, expected: &str| {
        let got = n(text).apply_typmod(typmod);
        let got = got.map_or_else(|e| e.fields().detail.clone().unwrap_or_default(), |value| value.to_string());
        assert_eq!(got, expected);
    };
    check("99.994", typmod(4, 2), "99.99");
    check("99.995", typmod(4, 2), "A field with precision 4, scale 2 must round to an absolute value less than 10^2.");
    check("1", typmod(3, 3), "A field with precision 3, scale 3 must round to an absolute value less than 1.");
    check("123456", typmod(3, -3), "123000");
    check(
        "1234567",
        typmod(3, -3),
        "A field with precision 3, scale -3 must round to an absolute value less than 10^6.",
    );
    check("NaN", typmod(4, 2), "NaN");
    check("-Infinity", typmod(4, 2), "A field with precision 4, scale 2 cannot hold an infinite value.");
    check("12.3456", -1, "12.3456");
}

fn decimals() -> impl Strategy<Value = Numeric> {
    prop_oneof!["-?[0-9]{1,18}(\\.[0-9]{0,6})?", "-?[0-9]{1,60}(\\.[0-9]{0,60})?", "-?[0-9]{17,20}"]
        .prop_map(|text: String| n(&text))
}

proptest! {
    #[test]
    fn text_and_wire_give_the_value_back(value in decimals()) {
        prop_assert_eq!(n(&value.to_string()).to_string(), value.to_string());
        let mut bytes = Vec::new();
        value.send(&mut bytes);
        prop_assert_eq!(Numeric::receive(&bytes).unwrap().to_string(), value.to_string());
    }

    /// The fast paths and the slow ones are the same arithmetic: the laws hold across the border between them.
    #[test]
    fn sums_products_and_remainders_keep_the_laws(a in decimals(), b in decimals(), c in decimals()) {
        let sum = a.add(&b).unwrap();
        prop_assert_eq!(sum.sub(&b).unwrap().cmp(&a), Ordering::Equal);
        let distributed = a.mul(&c).unwrap().add(&b.mul(&c).unwrap()).unwrap();
        prop_assert_eq!(sum.mul(&c).unwrap().cmp(&distributed), Ordering::Equal);
        if !b.is_zero() {
            let whole = a.div_trunc(&b).unwrap().mul(&b).unwrap().add(&a.rem(&b).unwrap()).unwrap();
            prop_assert_eq!(whole.cmp(&a), Ordering::Equal);
        }
        prop_assert_eq!(a.cmp(&b), b.sub(&a).unwrap().signum().cmp(&0).reverse());
    }

    #[test]
    fn no_bytes_make_receive_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = Numeric::receive(&bytes);
    }
}
