// Looks every two seconds for what there is to do, as the worker of a queue does.
const { Pool } = require('pg')
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 1, connectionTimeoutMillis: 3000 })
// A database that ends our sessions (restart, freeze, swap) must not end this process.
pool.on('error', (error) => console.log(`the database left: ${error.message}`))

async function look() {
  try {
    const { rows } = await pool.query(`select count(*) as open from "CustomerTask" where status = 'NOT_STARTED'`)
    console.log(`${rows[0].open} tasks are open`)
  } catch (error) {
    console.log(`the database cannot be asked now: ${error.message}`)
  }
}
setInterval(look, 2000)
look().then(() => console.log('dap-worker works'))
