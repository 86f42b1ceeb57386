// Two processes, as pm2 shows them; a host that names others has those. Where they listen comes from the host's
// environment, nothing from the repository.
const shared = { cwd: __dirname, time: true, max_restarts: 10, min_uptime: 2000, kill_timeout: 2000, merge_logs: true }
const names = ['DAP_HOST', 'DAP_ADDRESS', 'DAP_BACKEND_PORT', 'DAP_FRONTEND_PORT', 'DAP_SETTINGS', 'DATABASE_URL', 'DAP_BACKEND_ADDRESS']
const env = Object.fromEntries(names.map((name) => [name, process.env[name]]))
const scripts = { 'dap-backend': 'src/server.js', 'dap-frontend': 'src/frontend.js', 'dap-worker': 'src/worker.js' }
const here = (process.env.DAP_PROCESSES || 'dap-backend,dap-frontend').split(',')
module.exports = { apps: here.map((name) => ({ ...shared, name, script: scripts[name], env })) }
