//! What a client has the node keep in memory is bounded: it is refused (53200), the node goes on, and letting go of it heals.

mod support;

use support::{Node, code, connect, run, value};

/// As many rows as make about 2.5 MB.
const FILL: &str = "INSERT INTO kept SELECT n, repeat('x', 1000) FROM generate_series(1, 2000) n";

async fn filled(client: &tokio_postgres::Client) -> String {
    for _ in 0..20 {
        if let Err(refused) = client.batch_execute(FILL).await {
            return code(Err::<(), _>(refused));
        }
    }
    panic!("50 MB were taken")
}

#[test]
fn rows_of_temporary_tables_have_an_eighth_of_the_memory() {
    let node = Node::start(&[("max_memory", "128MB")]);
    run(async {
        let make = "CREATE TEMP TABLE kept (n int, t text)";
        let (client, other) = (connect(&node.config()).await, connect(&node.config()).await);
        client.batch_execute(make).await.expect("made");
        assert_eq!(filled(&client).await, "53200 out of memory");
        let rows: u64 = value(&client, "SELECT count(*) FROM kept").await.parse().expect("reads go on");
        assert!(rows >= 8_000 && rows.is_multiple_of(2_000), "{rows}");
        other.batch_execute(&format!("{make}; INSERT INTO kept VALUES (1, 'x')")).await.expect("a little is left");
        assert_eq!(filled(&other).await, "53200 out of memory", "it is all sessions' together");
        client.batch_execute("CREATE TABLE lasting (n int); INSERT INTO lasting VALUES (1)").await.expect("not these");

        client.batch_execute("DELETE FROM kept WHERE n > 10").await.expect("what makes room is taken");
        client.batch_execute(FILL).await.expect("there is room");
        assert_eq!(filled(&client).await, "53200 out of memory");
        client.batch_execute("TRUNCATE kept").await.expect("truncated");
        client.batch_execute(FILL).await.expect("there is room");
        assert_eq!(filled(&client).await, "53200 out of memory");
        client.batch_execute(&format!("DROP TABLE kept; {make}")).await.expect("dropped");
        client.batch_execute(FILL).await.expect("there is room");
        assert_eq!(filled(&client).await, "53200 out of memory");
        drop(client);
        loop {
            match other.batch_execute(FILL).await {
                Ok(()) => break,
                refused => assert_eq!(code(refused), "53200 out of memory", "until the other session has ended"),
            }
        }
    });
}

#[test]
fn prepared_statements_and_parameters_of_portals_count() {
    let node = Node::start(&[("max_memory", "128MB")]);
    run(async {
        let mut client = connect(&node.config()).await;
        let long = "x".repeat(1 << 20);
        let prepare = |n: usize| format!("PREPARE p{n} AS SELECT length('{long}')");
        let mut taken = 0;
        let refused = loop {
            match client.batch_execute(&prepare(taken)).await {
                Ok(()) => taken += 1,
                refused => break code(refused),
            }
            assert!(taken < 64, "64 statements of 1 MB each");
        };
        assert_eq!(refused, "53200 out of memory");
        assert!(taken >= 3, "{taken}");
        assert_eq!(value(&client, "EXECUTE p0").await, long.len().to_string(), "what is there works");
        client.batch_execute("DEALLOCATE p0").await.expect("let go");
        client.batch_execute(&prepare(0)).await.expect("there is room");
        client.batch_execute("DEALLOCATE ALL").await.expect("let go");

        let statement = client.prepare("SELECT length($1::text)").await.expect("prepared");
        let long = "x".repeat(8 << 20);
        let transaction = client.transaction().await.expect("begun");
        let mut portals = Vec::new();
        let refused = loop {
            match transaction.bind(&statement, &[&long]).await {
                Ok(portal) => portals.push(portal),
                refused => break code(refused),
            }
            assert!(portals.len() < 32, "32 portals of 8 MB each");
        };
        assert_eq!(refused, "53200 out of memory");
        assert!(portals.len() >= 3, "{}", portals.len());
        transaction.rollback().await.expect("rolled back");
        drop(portals);
        let transaction = client.transaction().await.expect("begun");
        transaction.bind(&statement, &[&long]).await.expect("there is room");
    });
}
