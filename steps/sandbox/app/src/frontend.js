// The page and its script; /health and /graphql are passed on to the back end.
const http = require('node:http')
const fs = require('node:fs')
const path = require('node:path')
const host = process.env.DAP_ADDRESS
const backend = process.env.DAP_BACKEND_ADDRESS || host
const files = { '/': ['index.html', 'text/html'], '/app.js': ['app.js', 'text/javascript'] }

const server = http.createServer((request, response) => {
  if (request.url === '/health' || request.url === '/graphql') {
    const { method, headers, url } = request
    const behind = http.request({ host: backend, port: Number(process.env.DAP_BACKEND_PORT), path: url, method, headers }, (told) => {
      response.writeHead(told.statusCode, told.headers)
      told.pipe(response)
    })
    behind.on('error', (error) => {
      response.writeHead(502, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ status: 'down', error: `back end: ${error.code}` }))
    })
    request.pipe(behind)
    return
  }
  if (request.url === '/favicon.ico') return void response.writeHead(204).end()
  const file = files[request.url]
  if (!file) return void response.writeHead(404).end('not found')
  response.writeHead(200, { 'content-type': `${file[1]}; charset=utf-8` })
  fs.createReadStream(path.join(__dirname, '..', 'public', file[0])).pipe(response)
})
server.listen(Number(process.env.DAP_FRONTEND_PORT), host, () => console.log('dap-frontend listens'))
