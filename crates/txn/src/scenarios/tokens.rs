//! A client's token goes with its commit, once, and its outcome can be asked for.

use super::*;
use std::time::Duration;

const PAYMENT: Token<'_> = Token { database: 5, role: 10, text: "payment" };

async fn pay(node: &Node, key: &str) -> Result<Option<TokenOutcome>> {
    let txn = node.serializable().await;
    write(&txn, key, "1").await?;
    let known = txn.claim_token(&PAYMENT).await?;
    match known {
        None => txn.commit().await.map(|_| None),
        Some(_) => Ok(known),
    }
}

#[tokio::test]
async fn a_token_commits_once_and_survives_a_restart() {
    let disk = Disk::default();
    let node = start(&disk, Limits::default()).await;
    assert_eq!(pay(&node, "a").await, Ok(None));
    assert_eq!(pay(&node, "b").await, Ok(Some(TokenOutcome::Committed)));
    drop(node);
    let node = start(&disk, Limits::default()).await;
    assert_eq!(pay(&node, "c").await, Ok(Some(TokenOutcome::Committed)));
    assert_eq!(node.gateway.token_outcome(&PAYMENT).await, Ok(Some(TokenOutcome::Committed)));
    assert_eq!((node.value("a").await, node.value("b").await, node.value("c").await), (Some("1".into()), None, None));
}

/// R10: a COMMIT that is still on its way when the client asks must not make the answer false.
#[tokio::test]
async fn who_asks_and_finds_nothing_aborts_the_token() {
    let node = node().await;
    let late = node.serializable().await;
    write(&late, "a", "1").await.expect("written");
    assert_eq!(node.gateway.token_outcome(&PAYMENT).await, Ok(Some(TokenOutcome::Aborted)));
    assert_eq!(late.claim_token(&PAYMENT).await, Ok(Some(TokenOutcome::Aborted)));
}

#[tokio::test]
async fn a_commit_under_way_is_unknown_and_told_only_when_durable() {
    let node = node().await;
    let txn = node.serializable().await;
    write(&txn, "a", "1").await.expect("written");
    assert_eq!(txn.claim_token(&PAYMENT).await, Ok(None));
    assert_eq!(node.gateway.token_outcome(&PAYMENT).await, Ok(None), "locked");
    node.data.hold();
    let mut commit = std::pin::pin!(txn.commit());
    assert!(poll(commit.as_mut()).is_none());
    let mut asked = std::pin::pin!(node.gateway.token_outcome(&PAYMENT));
    assert!(poll(asked.as_mut()).is_none(), "in flight: not told before it is durable");
    node.data.release();
    commit.await.expect("committed");
    assert_eq!(asked.await, Ok(Some(TokenOutcome::Committed)));
}

#[tokio::test]
async fn old_outcomes_are_collected_and_young_ones_stay() {
    let node = node().await;
    assert_eq!(pay(&node, "a").await, Ok(None));
    assert_eq!(node.gateway.collect_tokens(Duration::from_secs(60)).await, Ok(0));
    assert_eq!(pay(&node, "b").await, Ok(Some(TokenOutcome::Committed)));
    assert_eq!(node.gateway.collect_tokens(Duration::ZERO).await, Ok(1));
    assert_eq!(pay(&node, "b").await, Ok(None));
}
