// `prisma migrate deploy` through the JavaScript engine, so that no engine binary is downloaded.
import { defineConfig } from 'prisma/config'
import { PrismaPg } from '@prisma/adapter-pg'

// The engine leaves its ten-second lock timer running after it has finished; the process need not wait for it.
const setTimer: any = globalThis.setTimeout
globalThis.setTimeout = ((run: any, ms: any, ...rest: any[]) => {
  const timer = setTimer(run, ms, ...rest)
  if (ms === 10000) timer.unref()
  return timer
}) as any

export default defineConfig({
  experimental: { adapter: true },
  schema: 'prisma/schema.prisma',
  engine: 'js',
  adapter: async () => {
    const factory: any = new PrismaPg({
      connectionString: process.env.DATABASE_URL,
      max: 1,
      allowExitOnIdle: true,
      idleTimeoutMillis: 200,
    })
    const connect = factory.connect.bind(factory)
    factory.connect = async () => {
      const adapter = await connect()
      // The adapter splits a script at every semicolon. One message keeps it one transaction, as the native engine has it.
      adapter.executeScript = async (script: string) => {
        try {
          await adapter.client.query(script)
        } catch (error) {
          adapter.onError(error)
        }
      }
      return adapter
    }
    return factory
  },
})
