// What /health answers. A check that throws makes it 503 with the reason.
const { execFileSync } = require('node:child_process')
const { version } = require('../package.json')

// Read once: what matters is the code that was loaded, not what the folder holds now.
const commit = (() => {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: __dirname, encoding: 'utf8' }).trim()
  } catch {
    return null
  }
})()

const checks = [async (pool) => pool.query('select 1')]

module.exports = async function health(pool) {
  const about = { version, commit, host: process.env.DAP_HOST }
  try {
    for (const check of checks) await check(pool)
    return { code: 200, body: { status: 'ok', ...about, database: 'ok' } }
  } catch (error) {
    console.error(`health: ${error.message}`)
    return { code: 503, body: { status: 'down', ...about, error: error.message } }
  }
}
