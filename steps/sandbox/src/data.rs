//! The rows each host starts with: always the same, made up, and different people on each host.

use std::fmt::Write as _;

/// How much one host holds, and whose names.
struct Shape {
    customers: usize,
    /// Turns the same customer into different made-up people on different hosts.
    salt: usize,
    domain: &'static str,
    /// The last so many customers use the domain that was retired; only production still has any.
    retired: usize,
}

const FIRST: [&str; 12] = [
    "Ada", "Bela", "Cora", "Dana", "Edda", "Femi", "Gita", "Hugo", "Ines", "Juno", "Kira", "Lino",
];
const LAST: [&str; 11] = [
    "Ampere",
    "Becquerel",
    "Celsius",
    "Dalton",
    "Erg",
    "Farad",
    "Gauss",
    "Henry",
    "Inch",
    "Joule",
    "Kelvin",
];
const FIRM: [&str; 10] = [
    "Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Maple", "Oak", "Rowan",
];
const TRADE: [&str; 7] = [
    "Works",
    "Logistics",
    "Foods",
    "Optics",
    "Energy",
    "Textiles",
    "Media",
];
const PRODUCT: [&str; 5] = [
    "Campus Switching",
    "Secure Access",
    "Wireless",
    "Observability",
    "Collaboration",
];
const TASK: [&str; 5] = [
    "Plan the rollout",
    "Configure the pilot",
    "Train the team",
    "Go live",
    "Measure adoption",
];

/// SQL that fills the empty tables of the host in one transaction.
///
/// Customers have the same ids on stage and prod, so that production's products find their customers on stage.
pub(crate) fn seed(host: &str) -> String {
    let shape = match host {
        "prod" => Shape {
            customers: 120,
            salt: 5,
            domain: "customers.example.org",
            retired: 3,
        },
        "stage" => Shape {
            customers: 120,
            salt: 3,
            domain: "stage.example.org",
            retired: 0,
        },
        _ => Shape {
            customers: 40,
            salt: 1,
            domain: "test.example.org",
            retired: 0,
        },
    };
    let mut out = String::from("BEGIN;\n");
    rows(
        &mut out,
        "Customer",
        "id,name,\"contactName\",email,phone,notes,\"createdAt\",\"deletedAt\"",
        &shape,
        customer,
    );
    rows(
        &mut out,
        "CustomerProduct",
        "id,\"customerId\",name,\"licenseLevel\",\"createdAt\",\"deletedAt\"",
        &shape,
        products,
    );
    rows(
        &mut out,
        "AdoptionPlan",
        "id,\"customerProductId\",name,progress,\"createdAt\",\"deletedAt\"",
        &shape,
        plans,
    );
    rows(
        &mut out,
        "CustomerTask",
        "id,\"adoptionPlanId\",name,status,notes,\"updatedAt\",\"deletedAt\"",
        &shape,
        tasks,
    );
    out.push_str("COMMIT;\nANALYZE;\n");
    out
}

fn rows(
    out: &mut String,
    table: &str,
    columns: &str,
    shape: &Shape,
    row: fn(&mut String, &Shape, usize),
) {
    writeln!(out, "COPY \"{table}\" ({columns}) FROM stdin;")
        .expect("writing to a String cannot fail");
    for number in 1..=shape.customers {
        row(out, shape, number);
    }
    out.push_str("\\.\n");
}

fn day(number: usize) -> String {
    format!(
        "2026-{:02}-{:02} {:02}:15:00",
        number % 5 + 1,
        number % 28 + 1,
        number % 24
    )
}

/// Every seventeenth row has been deleted softly.
fn gone(number: usize) -> String {
    if number.is_multiple_of(17) {
        day(number)
    } else {
        "\\N".to_owned()
    }
}

fn customer(out: &mut String, shape: &Shape, number: usize) {
    let pick = number * shape.salt;
    let (first, last) = (
        FIRST[pick % FIRST.len()],
        LAST[(pick + number / 12) % LAST.len()],
    );
    let retired = number > shape.customers - shape.retired;
    let domain = if retired {
        "retired.example.org"
    } else {
        shape.domain
    };
    writeln!(
        out,
        "cus{number:04}\t{} {} {number}\t{first} {last}\t{}.{}.{number}@{domain}\t+00 555 {:04}\tSpoke to {first} about renewal {}.\t{}\t{}",
        FIRM[pick % FIRM.len()],
        TRADE[(pick + number / 10) % TRADE.len()],
        first.to_lowercase(),
        last.to_lowercase(),
        number * 7 + shape.salt,
        number % 9 + 1,
        day(number),
        if retired { "\\N".to_owned() } else { gone(number) },
    )
    .expect("writing to a String cannot fail");
}

fn products(out: &mut String, _: &Shape, number: usize) {
    for part in 1..=2 {
        let nth = number * 2 + part;
        let license = ["ESSENTIAL", "ADVANTAGE", "SIGNATURE"][nth % 3];
        let name = PRODUCT[nth % PRODUCT.len()];
        writeln!(
            out,
            "prd{number:04}{part}\tcus{number:04}\t{name}\t{license}\t{}\t{}",
            day(nth),
            gone(nth)
        )
        .expect("writing to a String cannot fail");
    }
}

fn plans(out: &mut String, _: &Shape, number: usize) {
    for part in 1..=2 {
        let nth = number * 2 + part;
        let progress = (nth % 5) * 25;
        writeln!(
            out,
            "pln{number:04}{part}\tprd{number:04}{part}\tAdoption of {}\t{progress}\t{}\t{}",
            PRODUCT[nth % PRODUCT.len()],
            day(nth),
            gone(nth)
        )
        .expect("writing to a String cannot fail");
    }
}

fn tasks(out: &mut String, shape: &Shape, number: usize) {
    for part in 1..=2 {
        for (step, name) in TASK.iter().enumerate() {
            let nth = number * 10 + part * 5 + step;
            let status = [
                "NOT_STARTED",
                "IN_PROGRESS",
                "COMPLETED",
                "COMPLETED",
                "NOT_APPLICABLE",
            ][nth % 5];
            let note = if nth.is_multiple_of(3) {
                format!("Agreed with {}", FIRST[(nth * shape.salt) % FIRST.len()])
            } else {
                "\\N".to_owned()
            };
            writeln!(out, "tsk{number:04}{part}{step}\tpln{number:04}{part}\t{name}\t{status}\t{note}\t{}\t{}", day(nth), gone(nth))
                .expect("writing to a String cannot fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::seed;

    #[test]
    fn only_production_has_customers_of_the_retired_domain() {
        let count = |host| seed(host).matches("@retired.example.org").count();
        assert_eq!((count("test"), count("stage"), count("prod")), (0, 0, 3));
    }

    #[test]
    fn stage_has_every_customer_of_production_under_another_name() {
        let first = |host: &str| {
            let text = seed(host);
            let line = text
                .lines()
                .find(|line| line.starts_with("cus0001\t"))
                .expect("the first customer")
                .to_owned();
            (
                text.lines().filter(|line| line.starts_with("cus")).count(),
                line,
            )
        };
        let (stage, prod) = (first("stage"), first("prod"));
        assert_eq!(stage.0, prod.0);
        assert_ne!(stage.1, prod.1);
    }
}
