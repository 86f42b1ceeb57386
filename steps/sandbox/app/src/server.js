// GraphQL over HTTP on /graphql, and /health.
const http = require('node:http')
const fs = require('node:fs')
const path = require('node:path')
const { buildSchema, graphql, defaultFieldResolver } = require('graphql')
const { Pool } = require('pg')
const health = require('./health')

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 5, connectionTimeoutMillis: 3000 })
// A database that ends our sessions (restart, freeze, swap) must not end this process.
// It is told in the words of Prisma's engine, which calls such an end fatal.
const words = ({ severity, code, message }) =>
  `prisma:error Error in PostgreSQL connection: Error { kind: Db, cause: Some(DbError { severity: "${severity}", code: SqlState("${code}"), message: "${message}" }) }`
pool.on('error', (error) => console.error(error.severity ? words(error) : `pool: ${error.message}`))

const schema = buildSchema(fs.readFileSync(path.join(__dirname, 'schema.graphql'), 'utf8'))
const resolvers = require('./resolvers')(pool)
const fieldResolver = (source, args, context, info) => {
  const own = resolvers[info.parentType.name]?.[info.fieldName]
  return own ? own(source, args) : defaultFieldResolver(source, args, context, info)
}

const LIMIT = 1024 * 1024
async function body(request) {
  let text = ''
  for await (const part of request) {
    text += part
    if (text.length > LIMIT) throw new Error('request too large')
  }
  return JSON.parse(text)
}
function answer(response, code, value) {
  const text = JSON.stringify(value)
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

const server = http.createServer(async (request, response) => {
  try {
    if (request.url === '/health') {
      const { code, body: told } = await health(pool)
      return answer(response, code, told)
    }
    if (request.url !== '/graphql' || request.method !== 'POST') return answer(response, 404, { error: 'not found' })
    const { query, variables, operationName } = await body(request)
    const result = await graphql({ schema, source: query, variableValues: variables, operationName, fieldResolver })
    for (const error of result.errors ?? []) console.error(`graphql: ${error.message}`)
    answer(response, 200, result)
  } catch (error) {
    answer(response, 400, { errors: [{ message: error.message }] })
  }
})
server.listen(Number(process.env.DAP_BACKEND_PORT), process.env.DAP_ADDRESS, () => console.log('dap-backend listens'))
