// Two processes, as pm2 shows them. Where they listen comes from the host's environment, nothing from the repository.
const shared = { cwd: __dirname, time: true, max_restarts: 10, min_uptime: 2000, kill_timeout: 2000, merge_logs: true }
const names = ['DAP_HOST', 'DAP_ADDRESS', 'DAP_BACKEND_PORT', 'DAP_FRONTEND_PORT', 'DAP_SETTINGS', 'DATABASE_URL']
const env = Object.fromEntries(names.map((name) => [name, process.env[name]]))
module.exports = {
  apps: [
    { ...shared, name: 'dap-backend', script: 'src/server.js', env },
    { ...shared, name: 'dap-frontend', script: 'src/frontend.js', env },
  ],
}
