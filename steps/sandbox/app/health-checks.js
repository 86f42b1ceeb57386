const settings = () => JSON.parse(require('node:fs').readFileSync(process.env.DAP_SETTINGS, 'utf8'))
const checks = [
  async (pool) => pool.query('select 1'),
  async () => {
    if (!settings().licenseService) throw new Error('setting licenseService is missing')
  },
]
