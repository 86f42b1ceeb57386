//! Copies that are made and do not hold.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_would_point_nowhere_stop_it_and_staging_is_as_it_was() {
    let (prod, stage) = two().await;
    prod.query(
        "UPDATE public.\"Person\" SET product = 2; DELETE FROM public.\"Product\" WHERE id = 1;",
    )
    .await
    .unwrap();
    let error = copy(&prod, &stage, &policy(Some("email")), "r-orphan")
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Person_product_fkey (1 rows of public.Person"),
        "{error}"
    );
    assert_eq!(
        value(&stage, "SELECT title FROM public.\"Product\";").await,
        "old"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_out_different_on_staging_are_not_called_copied() {
    // Called immutable, and by a setting all the same: one that the copy has not while it is filled.
    let function = "CREATE FUNCTION public.times(int) RETURNS int IMMUTABLE LANGUAGE sql \
                    AS 'SELECT $1 * coalesce(current_setting(''shop.factor'', true)::int, 1)';";
    let stock = format!("{function} {}", STOCK.replace("id * 2", "public.times(id)"));
    let (prod, stage) = (database(&stock).await, database(&stock).await);
    let factor = format!(
        "ALTER DATABASE {} SET shop.factor = 2;",
        ident(&prod.db.name)
    );
    prod.query(&factor).await.unwrap();
    for (pg, title) in [(&prod, "new"), (&stage, "old")] {
        pg.query(&format!(
            "INSERT INTO public.\"Product\" (title) VALUES ('{title}');"
        ))
        .await
        .unwrap();
    }
    let refused = copy(&prod, &stage, &policy(Some("email")), "r-other").await;
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("the copied rows are not production's in public.Product"),
        "{error}"
    );
    let kept = value(&stage, "SELECT title, twice FROM public.\"Product\";").await;
    assert_eq!(kept, "old|1", "staging is as it was");
}
