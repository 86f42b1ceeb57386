// One query per field and nothing cached: what the database holds is what a caller sees. Deleted rows stay hidden.
const { randomUUID } = require('node:crypto')
const { version } = require('../package.json')

module.exports = function resolvers(pool) {
  const rows = async (text, values = []) => (await pool.query(text, values)).rows
  const one = async (text, values) => (await rows(text, values))[0] ?? null
  const alive = (table, where, values, limit = 100) =>
    rows(`select * from "${table}" where "deletedAt" is null ${where} order by id limit ${Math.min(limit, 1000)}`, values)
  const hide = async (table, id) =>
    (await pool.query(`update "${table}" set "deletedAt" = now() where id = $1 and "deletedAt" is null`, [id])).rowCount === 1
  const byId = (table, id) => one(`select * from "${table}" where id = $1 and "deletedAt" is null`, [id])

  return {
    Query: {
      version: () => version,
      customers: (_, a) => alive('Customer', '', [], a.limit),
      customer: (_, a) => byId('Customer', a.id),
      customerProducts: (_, a) =>
        a.license
          ? alive('CustomerProduct', 'and "licenseLevel" = $1::"LicenseLevel"', [a.license], a.limit)
          : alive('CustomerProduct', '', [], a.limit),
      adoptionPlans: (_, a) => alive('AdoptionPlan', '', [], a.limit),
      adoptionPlan: (_, a) => byId('AdoptionPlan', a.id),
      customerTasks: (_, a) =>
        a.status
          ? alive('CustomerTask', 'and status = $1::"TaskStatus"', [a.status], a.limit)
          : alive('CustomerTask', '', [], a.limit),
    },
    Customer: { products: (c) => alive('CustomerProduct', 'and "customerId" = $1', [c.id]) },
    CustomerProduct: {
      customer: (p) => one('select * from "Customer" where id = $1', [p.customerId]),
      adoptionPlans: (p) => alive('AdoptionPlan', 'and "customerProductId" = $1', [p.id]),
    },
    AdoptionPlan: {
      customerProduct: (p) => one('select * from "CustomerProduct" where id = $1', [p.customerProductId]),
      tasks: (p) => alive('CustomerTask', 'and "adoptionPlanId" = $1', [p.id]),
    },
    Mutation: {
      createCustomer: (_, a) =>
        one('insert into "Customer" (id, name, "contactName", email) values ($1, $2, $3, $4) returning *', [
          randomUUID(), a.name, a.contactName, a.email,
        ]),
      deleteCustomer: (_, a) => hide('Customer', a.id),
      createAdoptionPlan: (_, a) =>
        one('insert into "AdoptionPlan" (id, "customerProductId", name) values ($1, $2, $3) returning *', [
          randomUUID(), a.customerProductId, a.name,
        ]),
      deleteAdoptionPlan: (_, a) => hide('AdoptionPlan', a.id),
      updateTask: (_, a) =>
        one(
          'update "CustomerTask" set status = coalesce($2::"TaskStatus", status), notes = coalesce($3, notes), "updatedAt" = now() where id = $1 and "deletedAt" is null returning *',
          [a.id, a.status, a.notes],
        ),
    },
  }
}
