// Removes the customers of the retired domain and all that hangs on them, in one transaction.
const { Client } = require('pg')

const moved = `select id from "Customer" where email like '%@retired.example.org'`
const products = `select id from "CustomerProduct" where "customerId" in (${moved})`
const plans = `select id from "AdoptionPlan" where "customerProductId" in (${products})`

async function main() {
  const client = new Client({ connectionString: process.env.DATABASE_URL })
  await client.connect()
  await client.query('begin')
  await client.query(`delete from "CustomerTask" where "adoptionPlanId" in (${plans})`)
  await client.query(`delete from "AdoptionPlan" where id in (${plans})`)
  await client.query(`delete from "CustomerProduct" where id in (${products})`)
  await client.query(`delete from "Customer" where id in (${moved})`)
  await client.query('commit')
  await client.end()
}
main().catch((error) => {
  console.error(`clean-up: ${error.message}`)
  process.exit(1)
})
