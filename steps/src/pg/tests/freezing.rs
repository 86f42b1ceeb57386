use super::cluster::{database, value};
use super::*;
use crate::means::read_only::{freeze, thaw};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_keeps_writing_is_ended_and_a_new_one_is_refused() {
    let pg = database(SHOP).await;
    let other = database("").await;
    let mut bystander = other.session().await.unwrap();
    bystander.ask("SELECT 1;").await.unwrap();
    let mut writer = pg.session().await.unwrap();
    writer
        .ask("INSERT INTO public.\"AuditLog\" VALUES ('before');")
        .await
        .unwrap();
    for _ in 0..2 {
        let frozen = freeze(&pg).await.unwrap();
        assert!(
            frozen.read_only && frozen.canary.contains("25006"),
            "{frozen:?}"
        );
    }
    let late = writer
        .ask("INSERT INTO public.\"AuditLog\" VALUES ('late');")
        .await
        .unwrap_err();
    assert!(late.to_string().contains("terminat"), "{late}");
    assert!(
        pg.query("INSERT INTO public.\"AuditLog\" VALUES ('new');")
            .await
            .is_err()
    );
    assert_eq!(
        value(&pg, "SELECT count(*) FROM public.\"AuditLog\";").await,
        "3001"
    );
    bystander
        .ask("SELECT 1;")
        .await
        .expect("another database's session lives");
    for _ in 0..2 {
        assert!(!thaw(&pg).await.unwrap().read_only);
    }
    pg.query("INSERT INTO public.\"AuditLog\" VALUES ('new');")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_would_slip_through_is_named_and_nothing_changes() {
    let pg = database("").await;
    let name = pg.db.name.clone();
    pg.query(&format!("CREATE ROLE slip{name};")).await.unwrap();
    for word in ["off", "false", "no"] {
        pg.query(&format!(
            "ALTER ROLE slip{name} IN DATABASE {name} SET default_transaction_read_only = {word};"
        ))
        .await
        .unwrap();
        let error = freeze(&pg).await.unwrap_err().to_string();
        assert!(error.contains(&format!("slip{name}")), "{error}");
    }
    pg.query("CREATE TABLE public.t (i int);").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_opened_while_it_was_frozen_does_not_stay_read_only() {
    let pg = database(SHOP).await;
    freeze(&pg).await.unwrap();
    let mut pooled = pg.session().await.unwrap();
    pooled.ask("SELECT 1;").await.unwrap();
    thaw(&pg).await.unwrap();
    let gone = pooled
        .ask("INSERT INTO public.\"AuditLog\" VALUES ('new');")
        .await
        .unwrap_err();
    assert!(gone.to_string().contains("terminat"), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_for_a_read_write_transaction_is_tried_and_named() {
    let pg = database(SHOP).await;
    let mut api = pg.session().await.unwrap();
    api.ask("SET application_name = 'PostgREST 12.2';")
        .await
        .unwrap();
    let frozen = freeze(&pg).await.unwrap();
    let told = frozen.unbound.join("; ");
    assert!(
        told.contains("READ WRITE") && told.contains("PostgREST 12.2"),
        "{told}"
    );
    pg.query("BEGIN READ WRITE; INSERT INTO public.\"AuditLog\" VALUES ('api'); COMMIT;")
        .await
        .expect("that is what the setting does not stop");
    assert!(!thaw(&pg).await.unwrap().read_only);
}
